// @ts-check
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { configCode } from './config.mjs';
import { programCode } from './program.mjs';

/**
 * What a process runs from: absolute paths of modules that Node reads by itself.
 * @typedef {object} Code
 * @property {string} of the config file that it was made for
 * @property {string} cli
 * @property {string} worker
 * @property {string} config
 */

/**
 * @typedef {object} Bundle
 * @property {Code | null} code null: each file is to be loaded by itself, translated one by one
 * @property {() => void} close removes what was made for this process
 */

/** esbuild is one process for all that build at once. */
let building = 0;

/**
 * The program and a config, with all that they import, as JavaScript: a process starts in a fraction of the time that hundreds of
 * TypeScript files take. The program is made once and kept (see programCode); the config, which is small, for every process that asks.
 *
 * Not for every config (see configCode). `VERSUS_DEBUG` says why.
 *
 * @param {string} configPath absolute
 * @returns {Promise<Bundle>}
 */
export async function bundle(configPath) {
  /** @type {string[]} */
  const folders = [];
  const close = () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  };
  try {
    return { code: await built(configPath, folders), close };
  } catch (error) {
    // No room for it, no esbuild for this platform, or a config that is not for it: this is only the faster way. What is wrong with the
    // config, if anything is, is told when it is loaded from its source.
    if (process.env.VERSUS_DEBUG) process.stderr.write(`versus: runs from its sources: ${error}\n`);
    close();
    return { code: null, close };
  }
}

/**
 * @param {string} configPath
 * @param {string[]} folders what is to be removed
 * @returns {Promise<Code>}
 */
async function built(configPath, folders) {
  const esbuild = await import('esbuild');
  building++;
  try {
    const config = await configCode(esbuild, configPath);
    const program = await programCode(esbuild, config.ours);
    if (!program.kept) folders.push(program.folder);
    const folder = await mkdtemp(path.join(tmpdir(), 'versus-config-'));
    folders.push(folder);
    const ours = (/** @type {string} */ file) => pathToFileURL(program.moduleOf(file)).href;
    await Promise.all(config.files(ours).map(({ name, text }) => writeFile(path.join(folder, name), text)));
    return {
      of: configPath,
      cli: program.moduleOf('cli.ts'),
      worker: program.moduleOf('run/worker.ts'),
      config: path.join(folder, 'config.mjs'),
    };
  } finally {
    building--;
    // Nothing of ours but what is measured shall run while it is.
    if (building === 0) await esbuild.stop();
  }
}
