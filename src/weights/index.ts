/** Where numbers come from, and the artifacts that hold them. */

export { prepareArtifacts } from './artifact.ts';
export { cacheStatus, cleanCache } from './cache.ts';
export { safetensors } from './checkpoint.ts';
export { requireSpace } from './disk.ts';
export { openArtifactResident } from './exported-resident.ts';
export { openArtifact } from './exported-session.ts';
export { hub, hubFolder } from './hub/index.ts';
export { type OnnxOptions, onnx, onnxGraphs } from './onnx-folder.ts';
export { filesOfGraphs } from './onnx-layout.ts';
export { openSafetensors, readSafetensors } from './safetensors.ts';
export { writeSafetensors } from './safetensors-writer.ts';
export { seeded } from './seeded.ts';
