/**
 * What Chart.js cannot say in plain data: looks, labels at bars and points, hatching, tooltips from the data. One plain
 * JavaScript module, because PNG, SVG and the page run this same text; the page inlines it as it stands.
 */

/** Width of the chip that stands for a missing bar, in CSS pixels. */
const CHIP = 36;

const FONT = 'Inter, "DejaVu Sans", system-ui, sans-serif';

/** Gives a Chart class our looks and registers the plugin that draws labels and hatching. */
export function prepare(Chart, theme) {
  const { defaults } = Chart;
  Object.assign(defaults, { color: theme.muted, borderColor: theme.grid, animation: false });
  Object.assign(defaults.font, { family: FONT, size: 13 });
  const start = { align: 'start', position: 'top' };
  Object.assign(defaults.plugins.title, start, {
    color: theme.text,
    font: { size: 18, weight: '600' },
    padding: { top: 0, bottom: 4 },
  });
  Object.assign(defaults.plugins.subtitle, start, { font: { size: 13 }, padding: { top: 0, bottom: 12 } });
  Object.assign(defaults.plugins.legend, start);
  Object.assign(defaults.plugins.legend.labels, {
    boxWidth: 12,
    boxHeight: 12,
    padding: 14,
    color: theme.text,
  });
  defaults.plugins.legend.labels.filter = (item, data) => !data.datasets[item.datasetIndex].unlisted;
  Object.assign(defaults.plugins.tooltip, { padding: 10, boxPadding: 4, displayColors: false });
  const callbacks = { title: tipTitle, label: tipLines };
  Object.assign(defaults.plugins.tooltip.callbacks, callbacks);
  // These types bring tooltips of their own, which would win over the defaults.
  for (const type of ['scatter', 'barWithErrorBars', 'scatterWithErrorBars']) {
    const own = Chart.overrides[type]?.plugins?.tooltip?.callbacks;
    if (own) Object.assign(own, callbacks);
  }
  defaults.scales.logarithmic.afterBuildTicks = thinLogTicks;
  // Chart.js names 1, 2, 3, 5 of a decade only; batch sizes are others.
  defaults.scales.logarithmic.ticks.callback = Chart.Ticks.formatters.numeric;
  for (const name of ['barWithErrorBar', 'pointWithErrorBar']) {
    const element = defaults.elements[name];
    if (!element) continue;
    Object.assign(element, { errorBarColor: theme.text, errorBarWhiskerColor: theme.text });
    if (name.startsWith('point')) Object.assign(element, { errorBarWhiskerRatio: 0, errorBarWhiskerSize: 7 });
  }
  if (Chart.registry.plugins.items.versus) Chart.unregister(Chart.registry.plugins.items.versus);
  Chart.register({
    id: 'versus',
    beforeDraw: paintSurface(theme),
    afterDatasetsDraw: (chart) => annotate(chart, theme),
    // Chart.js gives an entry of the legend the colour of the first bar, which may be a faded one.
    afterUpdate: ({ legend, data }) => {
      for (const item of legend?.legendItems ?? []) {
        item.fillStyle = data.datasets[item.datasetIndex]?.swatch ?? item.fillStyle;
      }
    },
    afterDraw: (chart) => hatchLegend(chart, theme),
  });
}

const tipTitle = (items) => items[0]?.raw?.tip?.[0] ?? items[0]?.label ?? '';
const tipLines = (item) => item.raw?.tip?.slice(1) ?? item.formattedValue;

/** The powers of ten over many decades; 1, 2 and 5 of each over a few; every digit over less. */
function thinLogTicks(axis) {
  const decades = Math.log10(axis.max / axis.min);
  const digits = decades > 3 ? [1] : decades > 0.7 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const round = axis.ticks.map(({ value }) => value).filter((value) => digits.includes(leading(value)));
  const ticks = axis.options.values ?? round;
  if (ticks.length > 1) axis.ticks = ticks.map((value) => ({ value }));
}

/** The digit that a value is a whole multiple of a power of ten by, else a fraction. */
const leading = (value) => Number((value / 10 ** Math.floor(Math.log10(value) + 1e-9)).toPrecision(6));

function paintSurface(theme) {
  return ({ ctx, width, height }) => {
    if (!theme.surface) return;
    ctx.save();
    ctx.fillStyle = theme.surface;
    ctx.fillRect(0, 0, width, height);
    ctx.restore();
  };
}

function annotate(chart, theme) {
  const { ctx } = chart;
  ctx.save();
  ctx.textBaseline = 'middle';
  const taken = [];
  for (const meta of chart.getSortedVisibleDatasetMetas()) {
    const { data } = chart.data.datasets[meta.index];
    const bars = meta.type.startsWith('bar');
    meta.data.forEach((element, i) => {
      const raw = data[i];
      if (!raw || typeof raw !== 'object') return;
      if (bars) annotateBar(chart, theme, element, raw);
      else taken.push(around(element));
    });
  }
  for (const meta of chart.getSortedVisibleDatasetMetas()) {
    if (meta.type.startsWith('bar')) continue;
    const { data } = chart.data.datasets[meta.index];
    meta.data.forEach((element, i) => {
      if (data[i]?.label) annotatePoint(chart, theme, element, data[i], taken);
    });
  }
  for (const axis of Object.values(chart.scales)) {
    if (axis.options.caption) caption(chart, theme, axis);
  }
  ctx.restore();
}

/** The name of a strip of a chart with several of them, at its upper left. */
function caption({ ctx, chartArea }, theme, axis) {
  ctx.font = `600 12px ${FONT}`;
  ctx.textAlign = 'left';
  outlined(ctx, theme, axis.options.caption, chartArea.left + 8, axis.top + 10, theme.text);
}

/** `raw.hatched` strikes the bar through, `raw.inside` stands in it where it fits, `raw.label` at its end. */
function annotateBar(chart, theme, element, raw) {
  const { ctx, chartArea } = chart;
  const { x, y, base, height } = element.getProps(['x', 'y', 'base', 'height'], true);
  const left = Math.max(chartArea.left, Math.min(x, base));
  const right = Math.min(chartArea.right, Math.max(x, base));
  // Without a value there is no bar: a hatched chip says that something should stand here.
  const empty = raw.hatched && !(right - left >= 1);
  const width = empty ? CHIP : right - left;
  if (raw.hatched) hatch(ctx, raw.hatch ?? theme.hatch, { left, top: y - height / 2, width, height });
  ctx.font = `500 12px ${FONT}`;
  if (raw.inside && ctx.measureText(raw.inside).width + 10 < right - left) {
    ctx.fillStyle = inkOn(element.options.backgroundColor);
    ctx.textAlign = 'center';
    ctx.fillText(raw.inside, (left + right) / 2, y);
  }
  if (!raw.label) return;
  const whisker = typeof raw.xMax === 'number' ? chart.scales.x.getPixelForValue(raw.xMax) : right;
  const end = Number.isFinite(right) ? right : chartArea.left;
  const at = Math.max(end, Math.min(whisker, chartArea.right)) + (empty ? CHIP : 0) + 8;
  const wide = ctx.measureText(raw.label).width;
  const fits = at + wide <= chart.width - 8;
  const from = fits ? at : chartArea.right - wide - 10;
  if (!fits) {
    ctx.fillStyle = theme.halo;
    ctx.fillRect(from - 6, y - 9, wide + 12, 18);
  }
  ctx.fillStyle = raw.hatched || raw.muted ? theme.muted : theme.text;
  ctx.textAlign = 'left';
  ctx.fillText(raw.label, from, y);
}

/**
 * Stripes over a bar and a line around it. Lines rather than a canvas pattern: a configuration is plain JSON, which can carry
 * no pattern, and lines stay lines in an SVG.
 */
function hatch(ctx, colour, { left, top, width, height }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.25;
  ctx.beginPath();
  for (let x = left - height; x < left + width; x += 6) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.rect(left, top, width, height);
  ctx.stroke();
  ctx.restore();
}

/** The box of a legend's entry that stands for hatching is hatched itself. */
function hatchLegend({ ctx, data, legend }, theme) {
  legend?.legendItems?.forEach((item, i) => {
    if (!data.datasets[item.datasetIndex]?.hatchKey || item.hidden) return;
    const { left, top, height } = legend.legendHitBoxes[i];
    const { boxWidth, boxHeight } = legend.options.labels;
    const box = { left, top: top + (height - boxHeight) / 2, width: boxWidth, height: boxHeight };
    hatch(ctx, theme.muted, box);
  });
}

/** A point's name beside it: right, left, above or below, wherever nothing else stands; else it is left to the tooltip. */
function annotatePoint(chart, theme, element, raw, taken) {
  const { ctx, chartArea: area } = chart;
  const { x, y } = element.getProps(['x', 'y'], true);
  if (!Number.isFinite(x) || !Number.isFinite(y)) return;
  ctx.font = `500 12px ${FONT}`;
  const width = ctx.measureText(raw.label).width;
  const places = [
    { left: x + 10, top: y - 9 },
    { left: x - 10 - width, top: y - 9 },
    { left: x - width / 2, top: y - 28 },
    { left: x - width / 2, top: y + 10 },
    { left: x + 8, top: y - 26 },
    { left: x + 8, top: y + 8 },
  ].map((place) => ({ ...place, width, height: 18 }));
  const place = places.find(
    (box) =>
      box.left >= area.left &&
      box.left + width <= chart.width - 4 &&
      box.top >= area.top - 14 &&
      box.top + 18 <= area.bottom &&
      !taken.some((other) => overlap(box, other)),
  );
  if (!place) return;
  taken.push(place);
  ctx.textAlign = 'left';
  outlined(ctx, theme, raw.label, place.left, place.top + 9, raw.muted ? theme.muted : theme.text);
}

function outlined(ctx, theme, text, x, y, colour) {
  ctx.lineWidth = 4;
  ctx.lineJoin = 'round';
  ctx.strokeStyle = theme.halo;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = colour;
  ctx.fillText(text, x, y);
}

function around(element) {
  const { x, y } = element.getProps(['x', 'y'], true);
  return { left: x - 6, top: y - 6, width: 12, height: 12 };
}

const overlap = (a, b) =>
  a.left < b.left + b.width &&
  b.left < a.left + a.width &&
  a.top < b.top + b.height &&
  b.top < a.top + a.height;

/** Black or white, whichever reads better on a `#rrggbb` colour (relative luminance of WCAG 2). */
function inkOn(colour) {
  const channels = /^#(..)(..)(..)/.exec(colour)?.slice(1) ?? ['ff', 'ff', 'ff'];
  const [r, g, b] = channels.map((hex) => {
    const c = Number.parseInt(hex, 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.3 ? '#111111' : '#ffffff';
}
