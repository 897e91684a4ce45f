import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Backend } from '../../src/core/backend.ts';
import { verifyFolder } from '../../src/verify/index.ts';
import { readSafetensors } from '../../src/weights/index.ts';
import { oneThread } from '../one-thread.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
const FOLDERS = readdirSync(FIXTURES).filter((name) => /^(hf|tv|timm|onnx|phi35)-/.test(name));
const BACKENDS: readonly Backend[] = [oneThread(), reference];

describe('reference numerics', () => {
  let cacheDir: string;
  beforeAll(() => {
    cacheDir = mkdtempSync(join(tmpdir(), 'versus-verify-'));
  });
  afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

  it('has the fixtures', () => expect(FOLDERS.length).toBeGreaterThanOrEqual(15));

  for (const backend of BACKENDS) {
    it.each(FOLDERS)(`%s on ${backend.name}`, async (name) => {
      const dir = join(FIXTURES, name);
      const result = await verifyFolder(dir, backend, { cacheDir, maxBytes: 1e9 });
      const wrong = result.outputs.filter((o) => !o.agrees);
      expect(wrong).toEqual([]);
      expect(result.agrees).toBe(true);
      // Every recorded output was looked at, none twice.
      const recorded = Object.keys(await readSafetensors(join(dir, 'io.safetensors')))
        .filter((n) => n.startsWith('output.'))
        .map((n) => n.slice('output.'.length));
      const compared = result.outputs.map((o) => o.name);
      expect(compared.filter((n) => recorded.includes(n)).sort()).toEqual(recorded.sort());
    });
  }
});
