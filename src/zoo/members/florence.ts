import type { ModelDef, Published } from '../../core/model.ts';
import { davitPreprocess, florencePreprocess, plainPreprocess } from '../../core/processors.ts';
import { buildDavit, type DavitConfig, type DavitStage, type DavitTower } from '../davit.ts';
import { buildFlorence2, type Florence2Config, florence2Parts, florence2Text } from '../florence2.ts';

/* DaViT by itself and as Florence-2's tower. Counts: comments of the reference code; MACs: timm's benchmark tables. */

const DAVIT_COUNT = 'dingmyu/davit, timm/models/davit.py (FLOPs and params); timm benchmark-infer GMACs';

type Patch = DavitStage['patch'];

/** Stages whose heads are `headWidth` wide and whose MLPs are four times as wide as they are. */
function stages(
  widths: readonly number[],
  depths: readonly number[],
  headWidth: number,
  patches: readonly Patch[],
): DavitStage[] {
  return widths.map((width, i) => {
    const heads = width / headWidth;
    return { ...{ width, depth: depths[i]!, heads, groups: heads, mlpWidth: 4 * width }, patch: patches[i]! };
  });
}

/** The stem takes 7 × 7 pixels every 4; later stages 2 × 2 in timm's models, 3 × 3 with an overlap in Florence-2. */
const STEM = { kernel: 7, stride: 4, pad: 3, fill: 4, normFirst: false } as const;
const DOWN = { kernel: 2, stride: 2, pad: 0, fill: 2, normFirst: true } as const;
const OVERLAPPING = { kernel: 3, stride: 2, pad: 1, fill: 1, normFirst: true } as const;

const COMMON = {
  ...{ channels: 3, attentions: ['spatial', 'channel'] as const, eps: 1e-5, activation: 'gelu' as const },
  ...{ qkvBias: true, positionActivation: false },
};

function davit(
  name: string,
  shape: Pick<DavitConfig, 'stages'>,
  published: Published | null,
  other: Partial<DavitConfig> = {},
): ModelDef<DavitConfig> {
  const config: DavitConfig = {
    ...{ image: [224, 224], ...COMMON, ...shape, window: 7, channelForm: 'key-value' },
    ...{ naming: 'timm', classes: 1000 },
    ...other,
  };
  return {
    ...{ name, family: 'davit', task: 'classify', config, build: buildDavit },
    ...(published && { published }),
    preprocess: published ? davitPreprocess() : plainPreprocess(config.image[0]),
  };
}

const published = (parameters: number, gmacs: number): Published => ({
  ...{ parameters, macs: gmacs * 1e9, source: DAVIT_COUNT },
});

const timm = (width: number, third: number): Pick<DavitConfig, 'stages'> => ({
  stages: stages([width, 2 * width, 4 * width, 8 * width], [1, 1, third, 1], 32, [STEM, DOWN, DOWN, DOWN]),
});

interface Florence {
  readonly vision: Pick<DavitTower, 'image' | 'stages' | 'window'>;
  readonly text: Pick<Florence2Config['text'], 'vocabulary' | 'width' | 'context'>;
  /** Layers of the encoder, and of the decoder. */
  readonly depth: number;
  readonly headWidth: number;
}

function florence(
  name: string,
  { vision, text, depth, headWidth }: Florence,
  about: Published | null,
): ModelDef<Florence2Config> {
  const naming = 'microsoft' as const;
  const stack = { depth, heads: text.width / headWidth, mlpWidth: 4 * text.width };
  const config: Florence2Config = {
    vision: { ...COMMON, ...vision, channelForm: 'query-key-pixels', naming },
    ...{ places: 50, frames: 100, sources: ['average', 'pixels'], naming, imageToken: null },
    text: {
      ...{ ...text, encoder: stack, decoder: stack, eps: 1e-5, activation: 'gelu', scaledEmbedding: false },
      ...{ prefix: florence2Text(naming), table: 'language_model.model.shared.weight', head: null },
      ...{ logitsBias: 'language_model.final_logits_bias', logits: 'last' },
    },
  };
  const [size] = vision.image;
  return {
    ...{ name, family: 'florence2', task: 'generate', config, build: buildFlorence2 },
    ...(about && { published: about }),
    preprocess: florencePreprocess(size),
    // An image's tokens and a prompt of 128 to read, an answer of 128 to write in one pass.
    dims: { source: imageTokens(vision) + 128, sequence: 128, past: 0 },
    ...{ parts: florence2Parts(naming), decoderStart: 2, context: text.context },
  };
}

/** The last grid's pixels and their average. */
function imageTokens({ image, stages: all }: Pick<DavitTower, 'image' | 'stages'>): number {
  const stride = all.reduce((n, { patch }) => n * patch.stride, 1);
  return (image[0] / stride) * (image[1] / stride) + 1;
}

const tower = (width: number) => ({
  ...{ image: [768, 768] as const, window: 12 },
  stages: stages([width, 2 * width, 4 * width, 8 * width], [1, 1, 9, 1], 32, [
    { ...STEM, fill: 1 },
    ...[OVERLAPPING, OVERLAPPING, OVERLAPPING],
  ]),
});

export const FLORENCE_MODELS: readonly ModelDef[] = [
  davit('davit-t', timm(96, 3), published(28_360_168, 4.54)),
  davit('davit-s', timm(96, 9), published(49_745_896, 8.8)),
  davit('davit-b', timm(128, 9), published(87_954_408, 15.51)),
  davit(
    'davit-tiny',
    { stages: stages([16, 32, 48, 64], [1, 1, 1, 1], 16, [STEM, DOWN, DOWN, DOWN]) },
    null,
    { image: [64, 64], window: 4, classes: 8 },
  ),
  florence(
    'florence-2-base',
    {
      vision: tower(128),
      text: { vocabulary: 51289, width: 768, context: 1024 },
      ...{ depth: 6, headWidth: 64 },
    },
    { rounded: '0.23B', source: 'model card of microsoft/Florence-2-base' },
  ),
  florence(
    'florence-2-large',
    {
      vision: tower(256),
      text: { vocabulary: 51289, width: 1024, context: 4096 },
      ...{ depth: 12, headWidth: 64 },
    },
    { rounded: '0.77B', source: 'model card of microsoft/Florence-2-large' },
  ),
  // No published model. The last stage keeps its grid, so that 64 × 64 pixels are 4 × 4 tokens and their average.
  florence(
    'florence-2-tiny',
    {
      vision: {
        ...{ image: [64, 64], window: 4 },
        stages: stages([32, 48, 64, 96], [1, 1, 1, 1], 16, [
          { ...STEM, fill: 1 },
          ...[OVERLAPPING, OVERLAPPING, { ...OVERLAPPING, stride: 1 }],
        ]),
      },
      text: { vocabulary: 512, width: 64, context: 512 },
      ...{ depth: 2, headWidth: 16 },
    },
    null,
  ),
];
