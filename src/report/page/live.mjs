/** The page's own script: draws the charts live, follows light, dark and print, sorts tables. Joined with draw.mjs. */
import { prepare } from '../charts/draw.mjs';

const { Chart } = globalThis;
const configurations = JSON.parse(document.getElementById('charts').textContent);
const drawn = new Map();
const PAPER = { text: '#1b1f24', muted: '#57606a', grid: '#e6e9ed', hatch: '#c4cbd3', halo: '#ffffff' };
const NIGHT = { text: '#e6edf3', muted: '#9aa5b1', grid: '#2b333d', hatch: '#4a545f', halo: '#161b22' };
const dark = matchMedia('(prefers-color-scheme: dark)');

function draw(theme) {
  prepare(Chart, { ...theme, surface: null });
  for (const box of document.querySelectorAll('[data-chart]')) {
    const { type, data, options } = structuredClone(configurations[Number(box.dataset.chart)]);
    drawn.get(box)?.destroy();
    box.style.height = `${box.dataset.height - (options.plugins.subtitle.text.length + 1) * 20 - 24}px`;
    const top = options.plugins;
    top.title = { display: false };
    top.subtitle = { display: false };
    Object.assign(options, { responsive: true, devicePixelRatio: globalThis.devicePixelRatio || 1 });
    options.layout = { padding: { ...options.layout.padding, left: 4, top: 4, bottom: 0 } };
    drawn.set(box, new Chart(box.querySelector('canvas'), { type, data, options }));
  }
}

const current = () => (dark.matches ? NIGHT : PAPER);
draw(current());
dark.addEventListener('change', () => draw(current()));
addEventListener('beforeprint', () => draw(PAPER));
addEventListener('afterprint', () => draw(current()));

const key = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.order === undefined ? cell.textContent : Number(cell.dataset.order);
};
const compare = (a, b) => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a.localeCompare(b, 'en', { numeric: true });
};
document.addEventListener('click', (event) => {
  const heading = event.target.closest?.('table.data th');
  if (!heading) return;
  const body = heading.closest('table').tBodies[0];
  const falling = heading.getAttribute('aria-sort') === 'ascending';
  for (const other of heading.parentElement.cells) other.removeAttribute('aria-sort');
  heading.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
  const rows = [...body.rows].sort((a, b) => compare(key(a, heading.cellIndex), key(b, heading.cellIndex)));
  body.append(...(falling ? rows.reverse() : rows));
});
