import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { writeReport } from '../../src/report/write.ts';

const root = await mkdtemp(join(tmpdir(), 'versus-report-'));
afterAll(() => rm(root, { recursive: true }));
const list = async (dir: string): Promise<string[]> => (await readdir(dir)).sort();

test('the folder holds the new files and nothing of what was there', async () => {
  const dir = join(root, 'swap', 'latest');
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'old.csv'), 'old');
  await writeReport(dir, [
    { file: 'a.csv', body: 'a' },
    { file: 'sub/b.png', body: new Uint8Array([1, 2]) },
  ]);
  expect(await list(dir)).toEqual(['a.csv', 'sub']);
  expect(await readFile(join(dir, 'sub', 'b.png'))).toEqual(Buffer.from([1, 2]));
  expect(await list(join(root, 'swap'))).toEqual(['latest']);
});

test('a folder that does not exist yet is made, parents too', async () => {
  const dir = join(root, 'deep', 'er', 'latest');
  await writeReport(dir, [{ file: 'a', body: '' }]);
  expect(await list(dir)).toEqual(['a']);
});

test.each([
  '../x',
  '/etc/x',
  'a/../../x',
  'a/..',
  '.',
  '',
  '..\\x',
  'a\0',
])('a file named %j is refused and the report stays', async (file) => {
  const dir = join(root, 'refused', 'latest');
  await writeReport(dir, [{ file: 'kept', body: '' }]);
  await expect(writeReport(dir, [{ file, body: 'x' }])).rejects.toThrow('outside the report folder');
  expect(await list(dir)).toEqual(['kept']);
  expect(await list(join(root, 'refused'))).toEqual(['latest']);
});

test('two files of one name are refused, in whatever case', async () => {
  await expect(
    writeReport(join(root, 'twice'), [
      { file: 'A.csv', body: '' },
      { file: 'a.csv', body: '' },
    ]),
  ).rejects.toThrow('same name');
});

test('a file where the folder should be is said to be in the way', async () => {
  const blocked = join(root, 'blocked');
  await writeFile(blocked, '');
  await expect(writeReport(join(blocked, 'latest'), [{ file: 'a', body: '' }])).rejects.toMatchObject({
    kind: 'infrastructure',
    next: expect.stringContaining('versus report'),
  });
});

test('writers at the same time leave one whole report and no rubbish', async () => {
  const dir = join(root, 'race', 'latest');
  const report = (n: number) => ['a', 'b', 'c'].map((file) => ({ file, body: String(n) }));
  await Promise.all(Array.from({ length: 8 }, (_, n) => writeReport(dir, report(n))));
  const bodies = await Promise.all(['a', 'b', 'c'].map((file) => readFile(join(dir, file), 'utf8')));
  expect(new Set(bodies).size).toBe(1);
  expect(await list(join(root, 'race'))).toEqual(['latest']);
});
