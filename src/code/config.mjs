// @ts-check
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { AS_MODULES, ownPackages, placed, SOURCES } from './modules.mjs';

/** @import { Plugin } from 'esbuild' */

/**
 * @typedef {object} ConfigCode
 * @property {readonly string[]} ours files of src that it imports, as paths below it, sorted
 * @property {(urlOf: (file: string) => string) => { name: string, text: string }[]} files what to write, in one folder, where our
 *   modules have these addresses; config.mjs is the first to load
 */

const INSTALLED = `${path.sep}node_modules${path.sep}`;
/** Marks our own resolving within esbuild's. */
const ASKED = 'versus';

/**
 * A config and all that it imports beside our sources and packages, which stay outside.
 *
 * Not for a config that brings files or packages which this cannot vouch for, because they could load our sources a second time:
 * JavaScript outside of `node_modules`, and packages that we don't depend on ourselves.
 *
 * @param {typeof import('esbuild')} esbuild
 * @param {string} configPath absolute
 * @returns {Promise<ConfigCode>}
 * @throws where it cannot be vouched for, or has a mistake
 */
export async function configCode(esbuild, configPath) {
  const own = new Set(await ownPackages());
  /** @type {Set<string>} */
  const ours = new Set();
  // Where our modules will be is not known before all of them are.
  const scheme = `${ASKED}-${randomUUID()}:`;
  const { outputFiles } = await esbuild.build({
    ...AS_MODULES,
    entryPoints: { config: configPath },
    outdir: path.dirname(configPath),
    plugins: [outside(own, scheme, ours), placed],
  });
  return {
    ours: [...ours].sort(),
    files: (urlOf) =>
      outputFiles.map((file) => ({
        name: path.basename(file.path),
        text: file.text.replaceAll(new RegExp(`"${scheme}([^"]*)"`, 'g'), (_, at) =>
          JSON.stringify(urlOf(decodeURIComponent(at))),
        ),
      })),
  };
}

/**
 * Why a file or package is not for this.
 * @param {string} file
 */
const unvouched = (file) => ({ errors: [{ text: `${file} could load our sources a second time` }] });

/** @param {string} specifier */
const packageOf = (specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? '';

/**
 * Our sources stay outside, under a name that is replaced later; packages, by where the importing file finds them.
 * @param {ReadonlySet<string>} own names of packages
 * @param {string} scheme
 * @param {Set<string>} ours receives what is imported of us
 * @returns {Plugin}
 */
function outside(own, scheme, ours) {
  /** @param {string} found */
  const fileOfOurs = (found) => {
    const file = path.relative(SOURCES, found).replaceAll(path.sep, '/');
    ours.add(file);
    return { path: scheme + encodeURIComponent(file), external: true };
  };
  return {
    name: 'outside',
    setup(build) {
      build.onResolve({ filter: /./ }, async ({ path: specifier, pluginData, ...from }) => {
        if (pluginData === ASKED || from.kind === 'entry-point') return undefined;
        if (isBuiltin(specifier)) return { path: specifier, external: true };
        const plain = path.resolve(from.resolveDir, specifier);
        if (/^\.{0,2}\//.test(specifier) && plain.startsWith(SOURCES) && existsSync(plain))
          return fileOfOurs(plain);
        const { kind, importer, resolveDir } = from;
        const found = await build.resolve(specifier, { kind, importer, resolveDir, pluginData: ASKED });
        // An optional package that is not installed: to be missed where it is wanted.
        if (found.errors.length > 0) {
          return own.has(packageOf(specifier)) ? { path: specifier, external: true } : undefined;
        }
        if (found.path.startsWith(SOURCES)) return fileOfOurs(found.path);
        const at = found.path.lastIndexOf(INSTALLED);
        if (at < 0) return found;
        const name = packageOf(found.path.slice(at + INSTALLED.length).replaceAll(path.sep, '/'));
        return own.has(name)
          ? { path: pathToFileURL(found.path).href, external: true }
          : unvouched(found.path);
      });
      build.onLoad({ filter: /\.[cm]?jsx?$/ }, ({ path: file }) => unvouched(file));
    },
  };
}
