import type { KnownBug } from './known.ts';
import { ONNXRUNTIME_CPU } from './known-onnxruntime.ts';
import { ONNXRUNTIME_WEBGPU } from './known-webgpu.ts';
import { ONNXRUNTIME_WEBGPU_SHAPES } from './known-webgpu-shapes.ts';

/** Every known fault of every runtime. */
export const KNOWN: readonly KnownBug[] = [
  ...ONNXRUNTIME_CPU,
  ...ONNXRUNTIME_WEBGPU,
  ...ONNXRUNTIME_WEBGPU_SHAPES,
];
