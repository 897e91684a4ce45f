/** Whether a model computes what a reference implementation recorded. */
import { join, resolve } from 'node:path';
import type { Backend, OpenOptions } from '../core/backend.ts';
import type { ModelDef } from '../core/model.ts';
import type { Tensors } from '../core/tensor.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';
import { prepareArtifacts } from '../weights/index.ts';
import type { Florence2Config } from '../zoo/florence2.ts';
import type { LlavaConfig } from '../zoo/llava.ts';
import type { Phi3VisionConfig } from '../zoo/phi3-vision.ts';
import type { Qwen2VlConfig } from '../zoo/qwen2-vl.ts';
import { contrastiveOutputs } from './contrastive.ts';
import { encoderDecoderOutputs } from './encoder-decoder.ts';
import { modelIn } from './folder.ts';
import { languageOutputs } from './language.ts';
import { operatorOutputs, recordsOperators } from './operators.ts';
import { phi3VisionOutputs } from './phi3-vision.ts';
import { qwen2VlOutputs } from './qwen2-vl.ts';
import { inputOf, type Recorded, recordedFrom, recordingIn } from './recorded.ts';
import { Sessions } from './sessions.ts';
import { trainingOutputs } from './training.ts';
import { recordingsIn } from './training-differences.ts';
import { UNEXPANDED, visionLanguageOutputs } from './vision-language.ts';

export interface VerifyOptions {
  /** Where the model's files are kept, as for a run. */
  readonly cacheDir: string;
  readonly maxBytes: number;
  /** Largest |difference| ÷ max(1, largest |expected|); 1e-4 when left out. Ids must be equal. */
  readonly tolerance?: number;
  /** fp32 when left out. */
  readonly open?: OpenOptions;
}

export interface VerifyResult {
  readonly dir: string;
  /** `resnet`, `clip`, `llava`, `onnx` … */
  readonly family: string;
  readonly backend: string;
  readonly tolerance: number;
  /** Every expected output was computed and agrees. */
  readonly agrees: boolean;
  /** One per expected output, in the order of the file. */
  readonly outputs: readonly OutputDifference[];
}

/** Of outputs; what it means for a recorded training run is in `training-differences.ts`. */
const TOLERANCE = 1e-4;

/**
 * Runs the model in a folder (config.json + weights.safetensors, or model.onnx) on the inputs of its io.safetensors and
 * compares every recorded output: of inference, of a training run (`grad.*`, `final.*`), or of single operators and their
 * gradients. What is recorded and cannot be computed counts as disagreement.
 *
 * @throws VersusError `usage` when a file is missing, `unsupported` for architectures and recordings that are not
 * understood, `input` for damaged files
 */
export async function verifyFolder(
  dir: string,
  backend: Backend,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const tensors = await recordingIn(dir);
  const training = recordingsIn(tensors, join(dir, 'io.safetensors'));
  const { family, outputs } = training
    ? await trainingOutputs(dir, training, backend, options)
    : recordsOperators(Object.keys(tensors))
      ? { family: 'operators', outputs: await operatorOutputs(dir, tensors, backend, options) }
      : await inferenceOutputs(dir, recordedFrom(tensors, dir), backend, options);
  const tolerance = options.tolerance ?? TOLERANCE;
  const agrees = outputs.every((o) => o.agrees);
  return { dir: resolve(dir), family, backend: backend.name, tolerance, agrees, outputs };
}

async function inferenceOutputs(
  dir: string,
  recorded: Recorded,
  backend: Backend,
  options: VerifyOptions,
): Promise<Pick<VerifyResult, 'family' | 'outputs'>> {
  const model = await modelIn(dir, recorded);
  const { cacheDir, maxBytes } = options;
  const artifacts = await prepareArtifacts(model, { cacheDir, maxBytes, precision: 'fp32' });
  const sessions = new Sessions(backend, artifacts, options.open ?? { precision: 'fp32' });
  try {
    const computed = await compute(model, sessions, recorded);
    const again = Object.hasOwn(computed, UNEXPANDED) && recorded.expected.logits;
    const expected = again ? { ...recorded.expected, [UNEXPANDED]: again } : recorded.expected;
    const outputs = compareOutputs(computed, expected, options.tolerance ?? TOLERANCE).map((o) =>
      Object.hasOwn(computed, o.name) ? o : { ...o, problem: 'not computed' },
    );
    return { family: model.family, outputs };
  } finally {
    await sessions.close();
  }
}

function compute(model: ModelDef, sessions: Sessions, recorded: Recorded): Promise<Tensors> {
  switch (model.family) {
    case 'clip':
    case 'siglip':
      return contrastiveOutputs(sessions, recorded);
    case 'llama':
    case 'qwen2':
    case 'phi3':
      return languageOutputs(sessions, recorded);
    case 'llava':
      return visionLanguageOutputs(sessions, recorded, model.config as LlavaConfig);
    case 'phi3-vision':
      return phi3VisionOutputs(sessions, recorded, model.config as Phi3VisionConfig);
    case 'qwen2-vl':
      return qwen2VlOutputs(sessions, recorded, model.config as Qwen2VlConfig);
    case 'florence2':
      return encoderDecoderOutputs(
        sessions,
        recorded,
        model.config as Florence2Config,
        model.decoderStart ?? 2,
      );
    default:
      return wholeGraph(sessions, recorded);
  }
}

/** A graph that gives every output at once, by its own names. */
async function wholeGraph(sessions: Sessions, recorded: Recorded): Promise<Tensors> {
  const { inputs } = await sessions.session('model');
  const feeds = inputs.map(
    ({ name, dtype, shape }) => [name, inputOf(recorded, name, shape.length, dtype)] as const,
  );
  return sessions.run('model', Object.fromEntries(feeds));
}
