import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { Pixels } from './resample.ts';

/** Formats that are decoded. Not SVG or PDF: they name other files and cost what they like. */
const FORMATS = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif']);
/** Endings under which a reader looks for images. */
export const IMAGE_ENDINGS: ReadonlySet<string> = new Set([
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
]);

/** Largest image that is decoded: 100 megapixels are 300 MB of RGB. */
const MAX_PIXELS = 100e6;
const MAX_BYTES = 256 * 2 ** 20;

async function readBounded(file: string): Promise<Uint8Array> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('not a regular file');
    if (stat.size > MAX_BYTES) throw new Error(`${stat.size} bytes, more than the limit of ${MAX_BYTES}`);
    return await handle.readFile();
  } catch (error) {
    throw new VersusError('input', `cannot read image: ${reasonOf(error)}`, {
      where: file,
      next: 'check that the file exists and can be read',
      cause: error,
    });
  } finally {
    await handle?.close();
  }
}

/** Loaded on first use: most cases decode nothing, and every process waits for what it imports. */
async function opened(bytes: Uint8Array) {
  const { default: sharp } = await import('sharp');
  return sharp(bytes, { failOn: 'truncated', limitInputPixels: MAX_PIXELS, ignoreIcc: true, pages: 1 });
}

/**
 * Width and height of an image file by its header, as `decodeImage` will find them.
 * @throws VersusError `input` when it is no image
 */
export async function imageSize(file: string): Promise<{ width: number; height: number }> {
  const bytes = await readBounded(file);
  try {
    const { width, height } = await (await opened(bytes)).metadata();
    return { width, height };
  } catch (error) {
    throw new VersusError('input', `cannot read the size of an image: ${reasonOf(error)}`, {
      where: file,
      next: `replace or remove the file; supported are ${[...FORMATS].join(', ')}`,
      cause: error,
    });
  }
}

/**
 * Decodes an image to 8-bit RGB as Pillow's `convert("RGB")` does: alpha is dropped, greys are repeated, an embedded
 * colour profile is ignored, EXIF orientation is not applied (torchvision's ImageFolder applies none either), and only
 * the first frame of an animation is taken.
 *
 * @throws VersusError `input`: unreadable, truncated, not an image, a format not in the list, or over 100 megapixels.
 */
export async function decodeImage(source: string | Uint8Array, label?: string): Promise<Pixels> {
  const where = label ?? (typeof source === 'string' ? source : 'image');
  const bytes = typeof source === 'string' ? await readBounded(source) : source;
  try {
    const image = await opened(bytes);
    const { format } = await image.metadata();
    if (!FORMATS.has(format ?? '')) throw new Error(`format ${format} is not supported`);
    const { data, info } = await image
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels where 3 were expected`);
    return { width: info.width, height: info.height, data };
  } catch (error) {
    throw new VersusError('input', `cannot decode image: ${reasonOf(error)}`, {
      where,
      next: `replace or remove the file; supported are ${[...FORMATS].join(', ')}`,
      cause: error,
    });
  }
}
