/** Where numbers come from, and the artifacts that hold them. */
export { prepareArtifacts } from './artifact.ts';
export { cacheStatus, cleanCache, requireSpace } from './cache.ts';
export { safetensors } from './checkpoint.ts';
export { openSafetensors, readSafetensors } from './safetensors.ts';
export { writeSafetensors } from './safetensors-writer.ts';
export { seeded } from './seeded.ts';
