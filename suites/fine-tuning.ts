import { deitPreprocess } from '../src/core/processors.ts';
import { resized } from '../src/estimate/resize.ts';
import { type Arm, defineSuite, type ModelDef, type Tier } from '../src/index.ts';
import { shipped } from '../src/pretrained/shipped.ts';
import { type TrainParams, train } from '../src/workloads/train.ts';
import { model } from '../src/zoo/index.ts';

type Settings = Partial<TrainParams>;

/** Ways of learning, with learning rates that suit each: adapters start from nothing and take larger steps. */
const FULL: Settings = { way: 'full', rate: 5e-4 };
const adapters = (way: 'lora' | 'qlora', r: number): Settings => ({
  ...{ way, rate: 5e-3, lora: { r, alpha: 2 * r } },
});
const WAYS: Readonly<Record<string, Settings>> = {
  full: FULL,
  'LoRA r=8': adapters('lora', 8),
  'LoRA r=64': adapters('lora', 64),
  QLoRA: adapters('qlora', 8),
};
type WayName = 'full' | 'LoRA r=8' | 'LoRA r=64' | 'QLoRA';

/** The options that guides to fine-tuning Florence-2 and Phi-3.5-vision put beside each other, by their names. */
const FLORENCE: Readonly<Record<string, string>> = {
  'vision only': 'vision',
  'decoder only': 'decoder',
  'cross-modal only': 'cross-modal',
  'vision + cross-modal': 'vision+cross-modal',
  all: 'full',
};
const PHI: Readonly<Record<string, string>> = {
  'vision only': 'vision',
  'text decoder only': 'decoder',
  'cross-modal only': 'cross-modal',
  all: 'full',
};

const AUTOGRAD = 'full by the runtime’s autograd';

interface Contender {
  readonly name: string;
  readonly model: ModelDef;
  readonly settings?: Settings;
}

/** Full fine-tuning by the runtime's own autograd, where it has one: what a user would pick instead of our graph. */
const byAutograd = (of: Contender, tier: Tier, more: Partial<Arm> = {}): Arm => ({
  ...arm(of, 'full', tier, { name: `${of.name} ${AUTOGRAD}`, needs: 'autograd', ...more }),
  params: { ...of.settings, ...FULL, by: 'autograd' },
});

const arm = (
  { name, model: of, settings }: Contender,
  way: WayName,
  tier: Tier,
  more: Partial<Arm> = {},
): Arm => ({
  ...{ name: `${name} ${way}`, model: of, group: way, tier, mainBackendsOnly: true },
  params: { ...settings, ...WAYS[way] },
  ...more,
});

/** Full fine-tuning of one part after the other. */
const scoped = (
  of: Contender,
  scopes: Readonly<Record<string, string>>,
  tier: Tier,
  rounds?: number,
): Arm[] =>
  Object.entries(scopes).map(([label, scope]) => ({
    ...{ name: `${of.name} ${label}`, model: of.model, group: 'full', tier, mainBackendsOnly: true },
    ...(rounds !== undefined && { rounds }),
    params: { ...of.settings, ...FULL, scope },
  }));

/** Text of an answer and of the question before it, in bytes or words: room for what is asked about colours. */
const ANSWER: Settings = { sequence: 64 };
const ASKED: Settings = { prompt: 48, sequence: 12 };
/** Of weights that nothing was learnt with before: what they learn in a suite's time tells nothing, what it costs does. */
const UNTAUGHT: Settings = { steps: 8, samples: 16 };
const SQUARE: Settings = { image: [128, 128] };

/** ViT-S on images of a quarter of the usual area, so that a step takes a fraction of a second. */
const VIT_S: Contender = {
  name: 'vit-s',
  model: { ...resized(model('deit-s-16'), [112, 112]), name: 'vit-s', preprocess: deitPreprocess(112, 128) },
  settings: { steps: 12 },
};
const SHAPES_VIT: Contender = { name: 'shapes-vit', model: shipped('shapes-vit'), settings: { steps: 60 } };
const SHAPES_VLM: Contender = {
  ...{ name: 'shapes-vlm', model: shipped('shapes-vlm') },
  settings: { steps: 40, sequence: 30 },
};
const FLORENCE_TINY: Contender = {
  name: 'florence-2-tiny',
  model: model('florence-2-tiny'),
  settings: { ...UNTAUGHT, ...ASKED },
};
const PHI_TINY: Contender = {
  ...{ name: 'phi-3.5-vision-tiny', model: model('phi-3.5-vision-tiny') },
  settings: { ...UNTAUGHT, ...ANSWER, ...SQUARE },
};
const QWEN_TINY: Contender = {
  ...{ name: 'qwen2-vl-tiny', model: model('qwen2-vl-tiny') },
  settings: { ...UNTAUGHT, ...ANSWER, ...SQUARE },
};
const LLAVA_TINY: Contender = {
  ...{ name: 'llava-tiny', model: model('llava-tiny') },
  settings: { ...UNTAUGHT, ...ANSWER },
};

const params: Settings = { dataset: 'shapes', target: 'colour', base: 'shape', steps: 20, samples: 64 };
/** Arms that cost much and are asked for what is counted more than for what is timed. */
const FEW = { rounds: 1 };

/** Full fine-tuning against LoRA, part by part: what each costs in memory and time, what it learns and what it forgets. */
export default defineSuite({
  name: 'fine-tuning',
  overview: true,
  question:
    'Do I need full fine-tuning, or is LoRA enough: and what does each cost in memory and time, learn, and forget?',
  arms: [
    arm(SHAPES_VIT, 'full', 'smoke', { mainBackendsOnly: true }),
    arm(SHAPES_VIT, 'LoRA r=8', 'smoke'),
    arm(VIT_S, 'full', 'default'),
    arm(VIT_S, 'LoRA r=8', 'default'),
    arm(SHAPES_VIT, 'LoRA r=64', 'default', FEW),
    arm(SHAPES_VIT, 'QLoRA', 'default', FEW),
    byAutograd(SHAPES_VIT, 'default'),
    byAutograd(VIT_S, 'release'),
    arm(VIT_S, 'LoRA r=64', 'release'),
    arm(VIT_S, 'QLoRA', 'release'),
    arm(SHAPES_VLM, 'full', 'default', FEW),
    arm(SHAPES_VLM, 'LoRA r=8', 'default', FEW),
    ...scoped(FLORENCE_TINY, FLORENCE, 'default', 1),
    arm(FLORENCE_TINY, 'LoRA r=8', 'default', FEW),
    ...scoped(PHI_TINY, PHI, 'default', 1),
    arm(PHI_TINY, 'LoRA r=8', 'default', FEW),
    arm(QWEN_TINY, 'full', 'default', FEW),
    arm(QWEN_TINY, 'LoRA r=8', 'default', FEW),
    ...(['LoRA r=64', 'QLoRA'] as const).flatMap((way) =>
      [SHAPES_VLM, FLORENCE_TINY, PHI_TINY, QWEN_TINY].map((of) => arm(of, way, 'release')),
    ),
    ...(['full', 'LoRA r=8', 'LoRA r=64', 'QLoRA'] as const).map((way) => arm(LLAVA_TINY, way, 'release')),
  ],
  uses: [{ workload: train, params, batches: [{ size: 4 }] }],
  precisions: ['fp32'],
  headline: [
    ...['step_time', 'difference_rss', 'target', 'forgetting', 'trainable', 'samples_rate', 'tokens_rate'],
  ],
  contrasts: [
    ...[VIT_S, SHAPES_VIT].flatMap(({ name }) =>
      ['LoRA r=8', 'LoRA r=64', 'QLoRA'].map((way) => [`${name} full`, `${name} ${way}`] as const),
    ),
    ...[VIT_S, SHAPES_VIT].map(({ name }) => [`${name} full`, `${name} ${AUTOGRAD}`] as const),
    ['shapes-vlm full', 'shapes-vlm LoRA r=8'],
    ['florence-2-tiny all', 'florence-2-tiny LoRA r=8'],
    ...Object.keys(FLORENCE).flatMap((label) =>
      label === 'all' ? [] : [['florence-2-tiny all', `florence-2-tiny ${label}`] as const],
    ),
    ['phi-3.5-vision-tiny all', 'phi-3.5-vision-tiny LoRA r=8'],
    ...Object.keys(PHI).flatMap((label) =>
      label === 'all' ? [] : [['phi-3.5-vision-tiny all', `phi-3.5-vision-tiny ${label}`] as const],
    ),
    ['qwen2-vl-tiny full', 'qwen2-vl-tiny LoRA r=8'],
  ],
});

const FLORENCE_BASE: Contender = {
  ...{ name: 'florence-2-base', model: model('florence-2-base') },
  settings: { ...ASKED, steps: 4, samples: 4 },
};
const QWEN_2B: Contender = {
  ...{ name: 'qwen2-vl-2b', model: model('qwen2-vl-2b') },
  settings: { ...ANSWER, ...SQUARE, steps: 4, samples: 4 },
};

/** The same of models as they are published, an image at a time. */
export const large = defineSuite({
  name: 'fine-tuning-large',
  question: 'What do full fine-tuning, its parts, and LoRA cost on models of the size that people fine-tune?',
  arms: [
    ...scoped(FLORENCE_BASE, FLORENCE, 'release'),
    ...(['LoRA r=8', 'LoRA r=64', 'QLoRA'] as const).map((way) => arm(FLORENCE_BASE, way, 'release')),
    ...(['LoRA r=8', 'QLoRA'] as const).map((way) => arm(QWEN_2B, way, 'release')),
  ],
  uses: [{ workload: train, params, batches: [{ size: 1 }] }],
  precisions: ['fp32'],
  headline: ['step_time', 'difference_rss', 'trainable', 'samples_rate', 'tokens_rate', 'loss'],
  contrasts: [
    ...['LoRA r=8', 'LoRA r=64', 'QLoRA'].map(
      (way) => ['florence-2-base all', `florence-2-base ${way}`] as const,
    ),
    ...Object.keys(FLORENCE).flatMap((label) =>
      label === 'all' ? [] : [['florence-2-base all', `florence-2-base ${label}`] as const],
    ),
    ['qwen2-vl-2b LoRA r=8', 'qwen2-vl-2b QLoRA'],
  ],
});
