import type * as Ort from 'onnxruntime-node';
import type { Precision } from '../../core/backend.ts';

/** A graph x → y with the numbers that must come out; plain JSON. */
export interface ProbeCase {
  readonly precision: Precision;
  /** The ONNX file in base64. */
  readonly graph: string;
  readonly dtype: 'float32' | 'float16';
  /** Of x. */
  readonly shape: readonly number[];
  /** Numbers, or the bits of float16. */
  readonly x: readonly number[];
  readonly y: readonly number[];
  /** Largest difference that is allowed. */
  readonly tolerance: number;
}

/** Runs a case on one provider, with fallback to the CPU refused. Rejects when it fails or the result is wrong. */
export function prove(
  ort: Pick<typeof Ort, 'InferenceSession' | 'Tensor'>,
  provider: string | Ort.InferenceSession.ExecutionProviderConfig,
  probe: ProbeCase,
): Promise<void>;
