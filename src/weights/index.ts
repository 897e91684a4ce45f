/** Where numbers come from, and the artifacts that hold them. */
export { openSafetensors, readSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors.ts';
export { writeSafetensors } from './safetensors-writer.ts';
export { seeded } from './seeded.ts';
