// @ts-check
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { AS_MODULES, ownPackages, placed, ROOT, SOURCES } from './modules.mjs';

/**
 * @typedef {object} ProgramCode
 * @property {string} folder
 * @property {boolean} kept false: it is for this process alone
 * @property {(file: string) => string} moduleOf absolute path of the module that a file of src became, which is one of those asked for
 */

/** Packages of a hundred small files that keep nothing and look for nothing beside them: they go into the program. */
const MANY = ['zod', '@bufbuild/protobuf'];
const ENTRIES = ['cli.ts', 'run/worker.ts'];
const KEPT = path.join(ROOT, 'node_modules', '.cache', 'versus');
/** Longer than a run takes, which says only at its start that it uses a program. */
const UNUSED_MS = 3 * 86_400_000;

/**
 * The program as JavaScript, in which the command line, the worker and these files of src can be imported: in a folder of
 * `node_modules/.cache` that is named by the state of all sources and what is asked for, so that it is made once. What nobody has used
 * for three days is removed. Where that folder cannot be written to, it is made for this process, in the temporary folder.
 *
 * @param {typeof import('esbuild')} esbuild
 * @param {readonly string[]} files paths below src
 * @param {string} kept where programs are kept
 * @returns {Promise<ProgramCode>}
 */
export async function programCode(esbuild, files, kept = KEPT) {
  const entries = [...new Set([...ENTRIES, ...files])].sort();
  /** @param {string} folder */
  const found = (folder) => ({
    folder,
    moduleOf: (/** @type {string} */ file) => path.join(folder, moduleName(file)),
  });
  if (!(await writable(kept))) {
    const folder = await mkdtemp(path.join(tmpdir(), 'versus-program-'));
    await write(esbuild, entries, folder);
    // Packages are looked for from where a module lies.
    await symlink(installed(), path.join(folder, 'node_modules'), 'junction');
    return { ...found(folder), kept: false };
  }
  const folder = path.join(kept, await nameOf(entries));
  const now = new Date();
  const there = await utimes(folder, now, now).then(
    () => true,
    () => false,
  );
  if (!there) await keep(esbuild, entries, folder);
  return { ...found(folder), kept: true };
}

/** @param {string} file */
const moduleName = (file) => `${file.replace(/\.[^.]+$/, '')}.mjs`;

/** The folder of packages that ours are in. */
const installed = () => {
  const here = fileURLToPath(import.meta.resolve('esbuild'));
  const name = `${path.sep}node_modules${path.sep}`;
  return here.slice(0, here.lastIndexOf(name) + name.length - 1);
};

/** @param {string} folder */
async function writable(folder) {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * By what tells that a file is another: reading all of them would take as long as a command.
 * @param {readonly string[]} entries
 */
async function nameOf(entries) {
  const sources = (await readdir(SOURCES, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const packages = ['esbuild', ...MANY].map((name) => path.join(installed(), name, 'package.json'));
  const states = await Promise.all(
    [...sources, path.join(ROOT, 'package.json'), ...packages].map(async (file) => {
      const { ino, size, mtimeMs, ctimeMs } = await stat(file);
      return [file, ino, size, mtimeMs, ctimeMs].join(' ');
    }),
  );
  return createHash('sha256')
    .update([...entries, ...states.sort()].join('\n'))
    .digest('hex')
    .slice(0, 32);
}

/**
 * All of it or nothing: another process may make the same.
 * @param {typeof import('esbuild')} esbuild
 * @param {readonly string[]} entries
 * @param {string} folder
 */
async function keep(esbuild, entries, folder) {
  const kept = path.dirname(folder);
  await removeOld(kept);
  const making = await mkdtemp(path.join(kept, 'making-'));
  try {
    await write(esbuild, entries, making);
    await rename(making, folder);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    const other = await stat(folder).catch(() => null);
    if (other === null) throw error;
  }
}

/** @param {string} kept */
async function removeOld(kept) {
  for (const name of await readdir(kept)) {
    const folder = path.join(kept, name);
    const state = await stat(folder).catch(() => null);
    if (state !== null && Date.now() - state.mtimeMs > UNUSED_MS)
      await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param {typeof import('esbuild')} esbuild
 * @param {readonly string[]} entries
 * @param {string} folder
 */
async function write(esbuild, entries, folder) {
  const { outputFiles } = await esbuild.build({
    ...AS_MODULES,
    entryPoints: entries.map((file) => path.join(SOURCES, file)),
    outbase: SOURCES,
    outdir: folder,
    external: (await ownPackages()).filter((name) => !MANY.includes(name)),
    plugins: [placed],
  });
  const folders = new Set(outputFiles.map((file) => path.dirname(file.path)));
  for (const one of folders) await mkdir(one, { recursive: true });
  await Promise.all(outputFiles.map((file) => writeFile(file.path, file.contents)));
}
