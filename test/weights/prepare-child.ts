import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { prepareArtifacts } from '../../src/weights/index.ts';
import { tinyModel } from './tiny-model.ts';

const { model } = await prepareArtifacts(tinyModel('shared', 512), {
  cacheDir: process.argv[2]!,
  maxBytes: 1e9,
  precision: 'fp32',
});
const bytes = await readFile(join(dirname(model!.path), 'weights.safetensors'));
process.send!(createHash('sha256').update(bytes).digest('hex'), () => process.disconnect());
