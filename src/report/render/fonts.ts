import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { VersusError } from '../../core/errors.ts';

const require = createRequire(import.meta.url);

interface Canvas {
  readonly GlobalFonts: { register(font: Buffer, alias: string): unknown };
}

const INTER = (weight: number): string =>
  require.resolve(`@fontsource/inter/files/inter-latin-${weight}-normal.woff2`);

/** Registered in this order; a glyph that Inter lacks (→ ≤ µ and other scripts) comes from DejaVu. */
const FONTS = [
  ['Inter', () => INTER(400)],
  ['Inter', () => INTER(500)],
  ['Inter', () => INTER(600)],
  ['DejaVu Sans', () => require.resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf')],
] as const;

let registered = false;

/** Our fonts for the canvas: on a machine without fonts it would draw no text at all, and say nothing. */
export function registerFonts(): void {
  if (registered) return;
  const { GlobalFonts } = require('canvas') as Canvas;
  for (const [family, path] of FONTS) {
    if (!GlobalFonts.register(readFileSync(path()), family)) {
      throw new VersusError('infrastructure', `The font ${family} could not be loaded`, {
        where: path(),
        next: 'Reinstall the dependencies: npm ci',
      });
    }
  }
  registered = true;
}

/** Inter in the weights that the page uses, as data URLs. */
export function pageFonts(): readonly { readonly weight: number; readonly url: string }[] {
  return [400, 500, 600].map((weight) => ({
    weight,
    url: `data:font/woff2;base64,${readFileSync(INTER(weight)).toString('base64')}`,
  }));
}
