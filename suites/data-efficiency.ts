import { HALVES, square } from '../src/core/processors.ts';
import { type Arm, defineSuite, type ModelDef, type Suite, type Use } from '../src/index.ts';
import { type LearnParams, learn } from '../src/workloads/learn.ts';
import { model } from '../src/zoo/index.ts';
import type { ResNetConfig } from '../src/zoo/resnet.ts';
import type { VitConfig } from '../src/zoo/vit.ts';

/** Both edges of every image: small, so that hundreds of trainings fit into a suite. */
const EDGE = 32;
const CLASSES = 8;
const preprocess = { resize: square(EDGE), kernel: 'bilinear', ...HALVES } as const;
const common = { image: [EDGE, EDGE], classes: CLASSES } as const;

function small<C>(of: string, name: string, changes: Partial<C>): ModelDef<C> {
  const { published: _, ...base } = model(of) as ModelDef<C>;
  return { ...base, name, preprocess, config: { ...base.config, ...common, ...changes } };
}

const RESNET = small<ResNetConfig>('resnet-tiny', 'small-resnet', {
  ...{ stemWidth: 16, widths: [16, 32, 64], depths: [1, 1, 1] },
});
/** 16 patches of 8 × 8 pixels, which cost about as many products as the convolutions. */
const size = { patch: [8, 8], width: 40, depth: 4, heads: 4, mlpWidth: 136 } as const;
const VIT = small<VitConfig>('vit-tiny', 'small-vit', size);
/** With a token and a head for the teacher; both heads can be seen, since each learns from its own target. */
const DEIT = small<VitConfig>('deit-ti-16-distilled', 'small-deit', { ...size, taps: true });

interface Contender {
  readonly name: string;
  readonly model: ModelDef;
  readonly group: string;
  readonly rate: number;
  readonly teacher?: string;
}

const CNN_RATE = 3e-3;
const RATE = 2e-3;
const CONTENDERS: readonly Contender[] = [
  { name: 'CNN', model: RESNET, group: 'CNN', rate: CNN_RATE },
  { name: 'ViT', model: VIT, group: 'transformer', rate: RATE },
  { name: 'DeiT', model: DEIT, group: 'distilled transformer', rate: RATE, teacher: 'CNN' },
];
const LEARN = learn({ CNN: { model: RESNET, rate: CNN_RATE } });
const BATCH = 32;

type Schooling = Pick<LearnParams, 'dataset' | 'images' | 'seeds' | 'steps'> &
  Partial<Pick<LearnParams, 'samples'>>;

/** The contenders under one schooling. Their params stand with the uses: arms that differ in params are settings of one model. */
function schooled(
  schooling: Schooling,
  suffix: string,
  tiers: Pick<Arm, 'tier' | 'until'>,
  names = CONTENDERS.map(({ name }) => name),
) {
  const contenders = CONTENDERS.filter(({ name }) => names.includes(name));
  const nameOf = (name: string): string => `${name}${suffix}`;
  return {
    arms: contenders.map(
      ({ name, model: of, group }): Arm => ({
        ...{ name: nameOf(name), model: of, group, ...tiers, mainBackendsOnly: true },
        // What is timed is a step, which the question is not about; seeds are not rounds.
        rounds: 1,
      }),
    ),
    uses: contenders.map(
      ({ name, rate, teacher }): Use<LearnParams> => ({
        workload: LEARN,
        params: { ...schooling, rate, threads: 1, ...(teacher !== undefined && { teacher }) },
        batches: [{ size: BATCH }],
        arms: [nameOf(name)],
      }),
    ),
    contrasts: (
      [
        ['CNN', 'ViT'],
        ['CNN', 'DeiT'],
        ['ViT', 'DeiT'],
      ] as const
    )
      .filter((pair) => pair.every((name) => names.includes(name)))
      .map(([a, b]) => [nameOf(a), nameOf(b)] as const),
  };
}

function suiteOf(name: string, question: string, schools: readonly ReturnType<typeof schooled>[]): Suite {
  return defineSuite({
    ...{ name, question, precisions: ['fp32'], overview: true },
    arms: schools.flatMap(({ arms }) => arms),
    uses: schools.flatMap(({ uses }) => uses),
    contrasts: schools.flatMap(({ contrasts }) => contrasts),
    headline: ['accuracy', 'loss', 'step_time', 'difference_rss', 'trainable'],
  });
}

/**
 * Six seeds are the fewest whose median has a 95% interval without any assumption; the smallest profile has to do without, and has
 * the two arms that go through everything. Colours are learnt from so few images, shapes are not.
 */
export default suiteOf(
  'data-efficiency',
  'At how many training images does a ViT that learns from scratch catch up with a CNN of its size, and does DeiT’s distillation help?',
  [
    schooled(
      { dataset: 'colours-600', images: [75, 300], seeds: 1, steps: 12, samples: 64 },
      ' in brief',
      { tier: 'smoke', until: 'smoke' },
      ['CNN', 'DeiT'],
    ),
    schooled({ dataset: 'colours-3k', images: [100, 400, 1600], seeds: 6, steps: 80 }, '', {
      tier: 'default',
    }),
  ],
);

/** The same with far more images and steps, which takes hours. */
export const large = suiteOf(
  'data-efficiency-large',
  'At how many of up to 20,000 training images does a ViT that learns from scratch catch up with a CNN of its size?',
  [
    schooled(
      {
        ...{ dataset: 'colours-38k', images: [100, 300, 1000, 3000, 10_000, 20_000] },
        ...{ seeds: 6, steps: 3000, samples: 2048 },
      },
      '',
      { tier: 'release' },
    ),
  ],
);
