import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as esbuild from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { bundle } from '../../src/code/index.mjs';
import { programCode } from '../../src/code/program.mjs';
import { ADDRESS } from './bench.ts';

const INDEX = fileURLToPath(new URL('../../src/index.ts', import.meta.url));

describe('the program as JavaScript', () => {
  const dir = mkdtempSync(join(tmpdir(), 'versus-bundle-'));
  afterAll(() => rmSync(dir, { recursive: true }));
  const write = (name: string, text: string): string => {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
    return join(dir, name);
  };

  it('has the config’s values, and shares our modules with it', async () => {
    const { code, close } = await bundle(ADDRESS.path);
    expect(Object.values(code!).every((path) => existsSync(path))).toBe(true);
    const { default: config } = await import(pathToFileURL(code!.config).href);
    const { default: source } = await import(ADDRESS.path);
    expect(JSON.stringify(config)).toBe(JSON.stringify(source));
    close();
    expect(existsSync(code!.config)).toBe(false);
  });

  it('is made once, but for the config', async () => {
    const first = await bundle(ADDRESS.path);
    const made = statSync(first.code!.worker).mtimeMs;
    first.close();
    const second = await bundle(ADDRESS.path);
    expect({ ...second.code, config: null }).toEqual({ ...first.code, config: null });
    expect(statSync(second.code!.worker).mtimeMs).toBe(made);
    second.close();
  });

  it('is kept by what is asked for, as long as somebody uses it', async () => {
    const kept = join(dir, 'kept');
    const old = join(kept, 'old');
    mkdirSync(old, { recursive: true });
    utimesSync(old, 1, 1);
    const [small, again, more] = [
      await programCode(esbuild, [], kept),
      await programCode(esbuild, ['cli.ts'], kept),
      await programCode(esbuild, ['core/tensor.ts'], kept),
    ];
    expect(again).toMatchObject({ folder: small.folder, kept: true });
    expect(more.folder).not.toBe(small.folder);
    expect((await import(more.moduleOf('core/tensor.ts'))).elementCount([2, 3])).toBe(6);
    expect(readdirSync(kept).sort()).toEqual([basename(small.folder), basename(more.folder)].sort());
  });

  it('is of one process where it cannot be kept', async () => {
    const { folder, kept, moduleOf } = await programCode(esbuild, [], write('file', ''));
    expect(kept).toBe(false);
    expect((await import(moduleOf('cli.ts'))).main).toBeTypeOf('function');
    rmSync(folder, { recursive: true });
  });

  it('leaves modules to know where their source lies', async () => {
    write('part.ts', 'export const where = [import.meta.url, import.meta.dirname, import.meta.filename];');
    const file = write('config.ts', "import { where } from './part.ts';\nexport default { where };");
    const { code, close } = await bundle(file);
    const { default: config } = await import(pathToFileURL(code!.config).href);
    close();
    const part = join(dir, 'part.ts');
    expect(config.where).toEqual([pathToFileURL(part).href, dir, part]);
  });

  it('loads lazily what the source loads lazily', async () => {
    write('later.ts', 'export const loaded = ((globalThis as Record<string, unknown>).later = true);');
    const file = write('lazy.ts', "export default { later: () => import('./later.ts') };");
    const { code, close } = await bundle(file);
    const { default: config } = await import(pathToFileURL(code!.config).href);
    expect((globalThis as Record<string, unknown>).later).toBeUndefined();
    expect((await config.later()).loaded).toBe(true);
    close();
  });

  it('is not made where there is no place for it, and nothing else is wrong then', async () => {
    const before = process.env.TMPDIR;
    process.env.TMPDIR = join(dir, 'nowhere');
    try {
      const { code, close } = await bundle(ADDRESS.path);
      close();
      expect(code).toBeNull();
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    }
  });

  it.each([
    ['JavaScript of the user, which may load our sources by itself', './plain.mjs'],
    ['a package that we don’t depend on', 'their-plugin'],
    ['a file that is not there', './missing.ts'],
  ])('is not made for %s', async (_, from) => {
    write('plain.mjs', `export * from ${JSON.stringify(pathToFileURL(INDEX).href)};`);
    write('node_modules/their-plugin/package.json', '{"name":"their-plugin","main":"index.js"}');
    write('node_modules/their-plugin/index.js', 'module.exports = {};');
    const file = write('other.ts', `import * as all from '${from}';\nexport default { all };`);
    const { code, close } = await bundle(file);
    close();
    expect(code).toBeNull();
  });
});
