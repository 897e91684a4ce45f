import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Cell } from '../../src/core/record.ts';
import { type RunPaths, referenceFile } from '../../src/run/paths.ts';

const paths = { parity: '/runs/x/parity' } as RunPaths;
const fileOf = (case_id: string): string => referenceFile(paths, { case_id } as Cell);

describe('the file of a reference', () => {
  it('differs where only characters that file names cannot hold differ', () => {
    const ids = ['s/w/a b/cpu', 's/w/a_b/cpu', 's/w/a|b/cpu', 's/w/a/b/cpu', 's/w/é/cpu', 's/w/日/cpu'];
    expect(new Set(ids.map(fileOf)).size).toBe(ids.length);
  });

  it.each([
    '../../../etc/passwd',
    '/etc/passwd',
    '..',
    'L'.repeat(800),
    'a\\..\\b',
  ])('stays in its folder with a name that a disk can hold: %s', (id) => {
    expect(path.dirname(fileOf(id))).toBe('/runs/x/parity');
    expect(path.basename(fileOf(id)).length).toBeLessThan(200);
  });
});
