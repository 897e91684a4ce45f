import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve, sep, win32 } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { float32 } from '../../src/core/tensor.ts';
import { matchNames } from '../../src/weights/checkpoint-names.ts';
import { isModelFile } from '../../src/weights/hub/names.ts';
import { openSafetensors, writeSafetensors } from '../../src/weights/index.ts';

const root = mkdtempSync(join(tmpdir(), 'versus-hostile-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('names from outside', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '..',
      '.',
      '',
      '/',
      '\\',
      'C:',
      '~',
      '\0',
      '\n',
      '%2e%2e',
      'con',
      'a',
      'model',
      'onnx',
      ' ',
      '\u202e',
    ),
    fc.string({ maxLength: 6 }),
  );
  const path = fc
    .tuple(
      fc.array(piece, { maxLength: 6 }),
      fc.constantFrom('/', '\\', ''),
      fc.constantFrom('.json', '.onnx', '.py'),
    )
    .map(([parts, separator, end]) => parts.join(separator) + end);

  it('of a listing never lead out of a folder, on any system', () => {
    let passed = 0;
    fc.assert(
      fc.property(path, (name) => {
        if (!isModelFile(name)) return;
        passed++;
        expect(isAbsolute(name) || win32.isAbsolute(name) || name.includes('\\')).toBe(false);
        expect(resolve('/cache', name).startsWith(`/cache${sep}`)).toBe(true);
        expect(win32.resolve('C:\\cache', name).startsWith('C:\\cache\\')).toBe(true);
        expect(name).toMatch(/\.(json|onnx)$/);
      }),
      { numRuns: 3000 },
    );
    expect(passed).toBeGreaterThan(50);
  });

  it('of an index: whatever JSON it is, it opens or is refused with a reason', async () => {
    const dir = join(root, 'index');
    mkdirSync(dir);
    await writeSafetensors(join(dir, 'a.safetensors'), { a: float32([1], [1]) });
    const index = join(dir, 'model.safetensors.index.json');
    const map = fc.dictionary(
      fc.constantFrom('a', 'b', '__proto__', 'constructor', ''),
      fc.oneof(fc.constantFrom('a.safetensors', '../a.safetensors', '.safetensors', 'b.safetensors'), path),
    );
    const any = fc.oneof(
      fc.jsonValue(),
      fc.record({ weight_map: fc.oneof(map, fc.constant({ a: 'a.safetensors' }), fc.jsonValue()) }),
    );
    let opened = 0;
    await fc.assert(
      fc.asyncProperty(any, async (value) => {
        writeFileSync(index, JSON.stringify(value));
        const result = await openSafetensors(dir).catch((e: unknown) => e);
        if (result instanceof VersusError) {
          expect(result.kind).toBe('input');
          return;
        }
        opened++;
        const file = result as Awaited<ReturnType<typeof openSafetensors>>;
        expect(file.files).toEqual([join(dir, 'a.safetensors')]);
        await file.close();
      }),
      { numRuns: 400 },
    );
    expect(opened).toBeGreaterThan(0);
  });

  it('under any run of wrappers are found again, each its own', () => {
    const wrapper = fc.constantFrom('module.', '_orig_mod.', 'base_model.model.', 'model.', 'backbone.');
    const name = fc.array(fc.constantFrom('conv1', 'layers', '0', '1', 'norm', 'fc', 'weight', 'bias'), {
      minLength: 1,
      maxLength: 4,
    });
    const names = fc.uniqueArray(
      name.map((parts) => parts.join('.')),
      { minLength: 2, maxLength: 12 },
    );
    fc.assert(
      fc.property(fc.array(wrapper, { maxLength: 4 }), names, (wrappers, params) => {
        const prefix = wrappers.join('');
        const tensors = params.map((param) => prefix + param);
        const found = matchNames(params, tensors).names;
        expect(Object.fromEntries(found)).toEqual(Object.fromEntries(params.map((p) => [p, prefix + p])));
      }),
      { numRuns: 500 },
    );
  });
});
