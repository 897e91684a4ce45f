/** Where numbers come from, and the artifacts that hold them. */
export { type PrepareOptions, prepareArtifacts } from './artifact.ts';
export { type CacheStatus, cacheStatus, cleanCache } from './cache.ts';
export { type CheckpointOptions, safetensors } from './checkpoint.ts';
export { hashFile } from './file-hash.ts';
export { ignorableTensor } from './ignorable.ts';
export { openSafetensors, readSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors.ts';
export { writeSafetensors } from './safetensors-writer.ts';
export { seeded } from './seeded.ts';
