/** The ONNX codec. */
export { type DecodedModel, decodeModel, decodeOnnx } from './decode.ts';
export { type EncodeOptions, type ExternalData, encodeOnnx } from './encode.ts';
export { openOnnx } from './open.ts';
export { writeOnnx } from './write.ts';
