// @ts-check
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** @import { BuildOptions, Plugin } from 'esbuild' */

/** The folder of our sources, with a separator at its end. */
export const SOURCES = fileURLToPath(new URL('../', import.meta.url));
/** The folder of this package. */
export const ROOT = path.dirname(SOURCES);

/** What all that we make has in common. @type {BuildOptions & { write: false }} */
export const AS_MODULES = {
  ...{ bundle: true, splitting: true, keepNames: true, write: false, logLevel: 'silent' },
  ...{ format: 'esm', platform: 'node', target: 'node20', outExtension: { '.js': '.mjs' } },
};

/** Names of the packages that we depend on. */
export async function ownPackages() {
  const { dependencies, peerDependencies } = JSON.parse(
    await readFile(path.join(ROOT, 'package.json'), 'utf8'),
  );
  return Object.keys({ ...dependencies, ...peerDependencies });
}

/**
 * Each module still knows where its source lies: what stands beside it is found by that.
 * @type {Plugin}
 */
export const placed = {
  name: 'placed',
  setup(build) {
    build.onLoad({ filter: /\.([cm]?tsx?|mjs)$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      if (!source.includes('import.meta')) return undefined;
      /** @type {Record<string, string>} */
      const meta = {
        url: pathToFileURL(file).href,
        filename: file,
        dirname: path.dirname(file),
      };
      const contents = source.replace(/\bimport\.meta\.(url|filename|dirname)\b/g, (_, key) =>
        JSON.stringify(meta[key]),
      );
      return { contents, loader: file.endsWith('x') ? 'tsx' : 'ts', resolveDir: path.dirname(file) };
    });
  },
};
