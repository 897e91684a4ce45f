import type { Reporter } from '../core/report.ts';
import { csv } from './csv/index.ts';
import { markdown } from './markdown/index.ts';
import { page } from './page/index.ts';
import { png } from './png.ts';
import { svg } from './svg.ts';

/** The reporters of this folder, as `--format` names them. */
export const reporters: readonly Reporter[] = [csv, png, svg, page, markdown];
