import { resized } from '../src/estimate/resize.ts';
import { type Arm, defineSuite, type GrowthLine, type ModelDef, type Tier } from '../src/index.ts';
import { classify } from '../src/workloads/classify.ts';
import { model } from '../src/zoo/index.ts';
import type { SwinConfig } from '../src/zoo/swin.ts';
import { paddedStages } from '../src/zoo/swin-shape.ts';

/** One contender, and from which tier on it is measured at which sizes. */
interface Contender {
  readonly model: ModelDef;
  readonly group: string;
  readonly sizes: Partial<Record<Tier, readonly number[]>>;
}

const CNN = 'CNN';
const GLOBAL = 'global attention';
const WINDOWS = 'attention in windows';

/** Swin-T with other windows or another width. */
function swin(name: string, changes: Partial<SwinConfig>): ModelDef<SwinConfig> {
  const base = model('swin-t') as ModelDef<SwinConfig>;
  return { ...base, name, config: { ...base.config, ...changes } };
}

/*
 * Swin pads grids that are no whole windows, which would stand in its figures like work that the image needs. Windows of 4
 * fill every grid of multiples of 128 px, windows of 8 (Swin V2's) those of 256 px; the published 7 fit those of 224 px.
 */
const CONTENDERS: readonly Contender[] = [
  {
    model: model('deit-ti-16'),
    group: GLOBAL,
    sizes: { smoke: [128, 256, 512], release: [384, 768, 1024] },
  },
  {
    model: swin('swin-t-half', { width: 48, window: [4, 4] }),
    group: WINDOWS,
    sizes: { default: [128, 256, 512], release: [384, 768, 1024] },
  },
  {
    model: model('resnet-18'),
    group: CNN,
    sizes: { default: [128, 256, 512], release: [384, 768, 1024] },
  },
  { model: model('deit-s-16'), group: GLOBAL, sizes: { release: [256, 512, 768, 1024] } },
  {
    model: swin('swin-t-window-8', { window: [8, 8] }),
    group: WINDOWS,
    sizes: { release: [256, 512, 768, 1024] },
  },
  { model: model('resnet-50'), group: CNN, sizes: { release: [256, 512, 768, 1024] } },
];

const nameAt = ({ model }: Contender, size: number): string => `${model.name}@${size}`;

const sizesOf = ({ sizes }: Contender): number[] => Object.values(sizes).flat();

const armsOf = (contender: Contender): Arm[] =>
  Object.entries(contender.sizes).flatMap(([tier, sizes]) =>
    sizes.map((size): Arm => {
      const name = nameAt(contender, size);
      return {
        name,
        model: { ...resized(contender.model, [size, size]), name },
        group: contender.group,
        tier: tier as Tier,
        mainBackendsOnly: true,
      };
    }),
  );

function lineOf(contender: Contender): GrowthLine {
  const padding = contender.model.family === 'swin' ? { note: paddingOf(contender) } : {};
  const points = sizesOf(contender).map((size) => ({ arm: nameAt(contender, size), size }));
  return { name: contender.model.name, points, ...padding };
}

/** Which sizes a Swin pads its grids at. */
function paddingOf(contender: Contender): string {
  const config = contender.model.config as SwinConfig;
  const padded = sizesOf(contender).filter(
    (size) => paddedStages({ ...config, image: [size, size] }).length > 0,
  );
  const windows = `windows of ${config.window.join(' × ')} tokens`;
  return padded.length === 0
    ? `${windows} fill its grids at every size, so nothing is padded`
    : `${windows} leave its grids padded at ${padded.join(', ')} px, which counts as its cost`;
}

/** Global attention against each other kind at the same size, the largest first. */
const against = (first: string, ...others: readonly string[]): (readonly [string, string])[] =>
  [1024, 768, 512, 384, 256, 128].flatMap((size) => {
    const names = CONTENDERS.filter((contender) => sizesOf(contender).includes(size)).map(
      (contender) => contender.model.name,
    );
    return others
      .filter((other) => names.includes(first) && names.includes(other))
      .map((other) => [`${first}@${size}`, `${other}@${size}`] as const);
  });

/** What a larger image costs: global attention compares all its parts with each other, windows and convolutions do not. */
export default defineSuite({
  name: 'resolution',
  overview: true,
  question:
    'How do time and memory grow with the size of the image: in a CNN, a ViT with global attention, and a Swin with windows?',
  arms: CONTENDERS.flatMap(armsOf),
  // Images are noise of the arm's size: decoding files would add its own memory, and timings do not depend on the content.
  uses: [{ workload: classify, params: {}, batches: [{ size: 1 }] }],
  headline: ['latency', 'difference_rss', 'macs'],
  contrasts: [
    ...against('deit-ti-16', 'swin-t-half', 'resnet-18'),
    ...against('deit-s-16', 'swin-t-window-8', 'resnet-50'),
  ],
  growth: {
    size: 'image edge',
    unit: 'px',
    of: 'pixels',
    dimensions: 2,
    lines: CONTENDERS.map(lineOf),
  },
});
