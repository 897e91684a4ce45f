import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Images of the set that is trained on; the suites' smaller one is its beginning, split by split. */
export const LARGE = 12_800;

const HOME = path.resolve(fileURLToPath(new URL('../..', import.meta.url)));

/** Where datasets are generated. */
export const ROOT = path.join(HOME, 'datasets');

/** What is shipped. */
export const CHECKPOINTS = path.join(HOME, 'checkpoints');
