/** The ONNX codec. */
export { decodeOnnx } from './decode.ts';
export { encodeOnnx } from './encode.ts';
export { openOnnx } from './open.ts';
