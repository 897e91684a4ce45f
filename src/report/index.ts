import type { Reporter } from '../core/report.ts';
import { csv } from './csv/index.ts';
import { png } from './png.ts';
import { svg } from './svg.ts';

/** The reporters of this folder, as `--format` names them. */
export const reporters: readonly Reporter[] = [csv, png, svg];

export { writeReport } from './write.ts';
export { csv, png, svg };
