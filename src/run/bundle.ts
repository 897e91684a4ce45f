import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Plugin } from 'esbuild';
import type { WorkerCode } from './protocol.ts';

const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url));
const PACKAGE = new URL('../../package.json', import.meta.url);
const OWN = fileURLToPath(new URL('../', import.meta.url));
const INSTALLED = `${path.sep}node_modules${path.sep}`;
/** Packages of a hundred small files that keep nothing and look for nothing beside them. */
const MANY: readonly string[] = ['zod', '@bufbuild/protobuf'];
/** Marks our own resolving within esbuild's. */
const ASKED = 'versus';

/** esbuild is one process for all that build at once. */
let building = 0;

export interface Bundle {
  /** null: workers load each file by itself, translated one by one. */
  readonly code: WorkerCode | null;
  /** Removes the files. */
  close(): Promise<void>;
}

/**
 * The worker and a config, with all that they import, as a few JavaScript files: a process per case starts in under half of the time
 * that hundreds of TypeScript files take. Packages are left where they are, but for two of many files.
 *
 * Not for a config that brings files or packages which this cannot vouch for, because they could load our modules a second time:
 * JavaScript outside of `node_modules`, and packages that we don't depend on ourselves.
 */
export async function bundleWorker(configPath: string): Promise<Bundle> {
  let folder: string | undefined;
  const close = async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  };
  try {
    folder = await mkdtemp(path.join(tmpdir(), 'versus-worker-'));
    return { code: await built(configPath, folder), close };
  } catch {
    // No room for it, no esbuild for this platform, or a config that is not for it: this is only the faster way. What is wrong with the
    // config, if anything is, has been told when it was loaded.
    return { code: null, close };
  }
}

async function built(configPath: string, folder: string): Promise<WorkerCode> {
  const esbuild = await import('esbuild');
  const { dependencies, peerDependencies } = JSON.parse(await readFile(PACKAGE, 'utf8')) as {
    dependencies: Record<string, string>;
    peerDependencies: Record<string, string>;
  };
  const own = new Set(Object.keys({ ...dependencies, ...peerDependencies }));
  building++;
  try {
    await esbuild.build({
      ...{
        bundle: true,
        splitting: true,
        keepNames: true,
        format: 'esm',
        platform: 'node',
        target: 'node20',
      },
      entryPoints: { worker: WORKER, config: configPath },
      outdir: folder,
      outExtension: { '.js': '.mjs' },
      logLevel: 'silent',
      plugins: [vouched(own), placed()],
    });
    return { worker: path.join(folder, 'worker.mjs'), config: path.join(folder, 'config.mjs') };
  } finally {
    building--;
    // Nothing of ours but what is measured shall run while it is.
    if (building === 0) await esbuild.stop();
  }
}

/** Why a file or package ends a bundle. */
const unvouched = (file: string) => ({
  errors: [{ text: `${file} could load what is bundled here a second time` }],
});

const packageOf = (specifier: string): string => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '';

/** Packages stay outside, by where the importing file finds them; what cannot be vouched for is an error. */
function vouched(own: ReadonlySet<string>): Plugin {
  return {
    name: 'vouched',
    setup(build) {
      // Whatever is not a path from the importing file: that is one of ours, or of the user's.
      build.onResolve({ filter: /^[^.]/ }, async ({ path: specifier, pluginData, ...from }) => {
        if (pluginData === ASKED || from.kind === 'entry-point') return undefined;
        if (isBuiltin(specifier)) return { path: specifier, external: true };
        const { kind, importer, resolveDir } = from;
        const found = await build.resolve(specifier, { kind, importer, resolveDir, pluginData: ASKED });
        // An optional package that is not installed: to be missed where it is wanted.
        if (found.errors.length > 0) {
          return own.has(packageOf(specifier)) ? { path: specifier, external: true } : undefined;
        }
        const at = found.path.lastIndexOf(INSTALLED);
        if (at < 0) return found;
        const name = packageOf(found.path.slice(at + INSTALLED.length).replaceAll(path.sep, '/'));
        if (MANY.includes(name)) return found;
        if (own.has(name)) return { path: pathToFileURL(found.path).href, external: true };
        return unvouched(found.path);
      });
      build.onLoad({ filter: /\.[cm]?jsx?$/ }, ({ path: file }) =>
        file.startsWith(OWN) ||
        MANY.some((name) => file.includes(`${INSTALLED}${path.normalize(name)}${path.sep}`))
          ? undefined
          : unvouched(file),
      );
    },
  };
}

/** Each module still knows where its source lies: what stands beside it is found by that. */
function placed(): Plugin {
  return {
    name: 'placed',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[tj]sx?$/ }, async ({ path: file }) => {
        const source = await readFile(file, 'utf8');
        const meta = {
          url: pathToFileURL(file).href,
          filename: file,
          dirname: path.dirname(file),
        };
        const contents = source.replace(/\bimport\.meta\.(url|filename|dirname)\b/g, (_, key) =>
          JSON.stringify(meta[key as keyof typeof meta]),
        );
        return { contents, loader: file.endsWith('x') ? 'tsx' : 'ts', resolveDir: path.dirname(file) };
      });
    },
  };
}
