/** The ONNX codec. */
export { decodeOnnx } from './decode.ts';
export { type ExternalPlace, encodeOnnx } from './encode.ts';
export { openOnnx } from './open.ts';
