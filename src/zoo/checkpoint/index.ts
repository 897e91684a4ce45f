import { VersusError } from '../../core/errors.ts';
import type { ModelDef } from '../../core/model.ts';
import { transformersClip } from './clip.ts';
import { openClipResNet } from './clip-resnet.ts';
import { torchvisionAlexNet, torchvisionConvNext, torchvisionVgg, transformersConvNext } from './convnets.ts';
import { timmDavit } from './davit.ts';
import { florence2 } from './florence2.ts';
import { timmVit, torchvisionResNet, torchvisionVit, transformersResNet, transformersVit } from './images.ts';
import { transformersDecoder, transformersLlava } from './language.ts';
import { transformersPhi3, transformersPhi3Vision } from './phi3.ts';
import { transformersQwen2Vl } from './qwen2-vl.ts';
import { transformersSiglip, transformersSiglipVision } from './siglip.ts';
import { torchvisionSwin, transformersSwin } from './swin.ts';

export interface CheckpointOptions {
  /** Intermediate results as further outputs, by the names that references use. */
  readonly taps?: boolean;
  /** Of a language model; the last position's when left out. */
  readonly logits?: 'all' | 'last';
  /** Height and width of the images, for architectures whose config doesn't say. */
  readonly image?: readonly [height: number, width: number];
}

type Reader = (config: unknown, names: ReadonlySet<string>, options: CheckpointOptions) => ModelDef;

/** By `model_type`, as transformers writes it. */
const TRANSFORMERS: Readonly<Record<string, Reader>> = {
  resnet: (c, _, o) => transformersResNet(c, o) as ModelDef,
  vit: (c, names, o) => transformersVit('vit', c, names, o) as ModelDef,
  deit: (c, names, o) => transformersVit('deit', c, names, o) as ModelDef,
  clip: (c, _, o) => transformersClip(c, o) as ModelDef,
  llama: (c, _, o) => transformersDecoder('llama', c, o) as ModelDef,
  qwen2: (c, _, o) => transformersDecoder('qwen2', c, o) as ModelDef,
  llava: (c, _, o) => transformersLlava(c, o) as ModelDef,
  swin: (c, _, o) => transformersSwin(c, o) as ModelDef,
  convnext: (c, _, o) => transformersConvNext(c, o) as ModelDef,
  phi3: (c, _, o) => transformersPhi3(c, o) as ModelDef,
  phi3_v: (c, _, o) => transformersPhi3Vision(c, o) as ModelDef,
  qwen2_vl: (c, _, o) => transformersQwen2Vl(c, o) as ModelDef,
  siglip: (c, _, o) => transformersSiglip(c, o) as ModelDef,
  siglip_vision_model: (c, _, o) => transformersSiglipVision(c, o) as ModelDef,
  florence2: (c, names, o) => florence2(c, names, o) as ModelDef,
};

/** By `architecture`, for torchvision and timm, which have no config file of their own. */
const ARCHITECTURES: Readonly<Record<string, Reader>> = {
  resnet: (c, _, o) => torchvisionResNet(c, o) as ModelDef,
  resnet_basic: (c, _, o) => torchvisionResNet(c, o) as ModelDef,
  resnet_bottleneck: (c, _, o) => torchvisionResNet(c, o) as ModelDef,
  vit: (c, _, o) => torchvisionVit(c, o) as ModelDef,
  alexnet: (c, _, o) => torchvisionAlexNet(c, o) as ModelDef,
  vgg: (c, _, o) => torchvisionVgg(c, o) as ModelDef,
  vgg_bn: (c, _, o) => torchvisionVgg(c, o) as ModelDef,
  swin: (c, _, o) => torchvisionSwin(c, o) as ModelDef,
  convnext: (c, _, o) => torchvisionConvNext(c, o) as ModelDef,
  clip_resnet: (c, _, o) => openClipResNet(c, o) as ModelDef,
  davit: (c, _, o) => timmDavit(c, o) as ModelDef,
  vit_clip_timm: (c, _, o) => timmVit(c, o) as ModelDef,
};

/**
 * The model that a checkpoint's config.json describes, with the defaults of the library that wrote it.
 * @param tensorNames of the checkpoint: they decide what a config leaves open, such as which heads there are
 * @throws VersusError `unsupported` for an architecture or option that the zoo lacks, `input` for a wrong or impossible
 * value; both name the field
 */
export function fromCheckpointConfig(
  config: unknown,
  tensorNames: readonly string[],
  options: CheckpointOptions = {},
): { readonly model: ModelDef } {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new VersusError('input', 'the configuration is not a JSON object', { where: 'config.json' });
  }
  const { model_type: type, architecture } = config as { model_type?: unknown; architecture?: unknown };
  // torchvision and timm folders have no model_type, and `null` is how a config says that it has none.
  const [table, field, key] =
    type === undefined || type === null
      ? ([ARCHITECTURES, 'architecture', architecture] as const)
      : ([TRANSFORMERS, 'model_type', type] as const);
  const reader = typeof key === 'string' && Object.hasOwn(table, key) ? table[key] : undefined;
  if (!reader) {
    const what = key === undefined ? 'no model_type and no architecture' : `${field} ${JSON.stringify(key)}`;
    throw new VersusError('unsupported', `config.json describes ${what}, which the zoo doesn't know`, {
      where: `config.json, field ${field}`,
      next:
        `understood: model_type ${Object.keys(TRANSFORMERS).join(', ')}; ` +
        `architecture ${Object.keys(ARCHITECTURES).join(', ')}; or bring the model as an ONNX file`,
    });
  }
  return { model: reader(config, new Set(tensorNames), options) };
}
