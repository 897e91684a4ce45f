import fc from 'fast-check';
import { expect, test } from 'vitest';
import { md } from '../../src/report/markdown/escape.ts';
import { markdown } from '../../src/report/markdown/index.ts';
import { sampleInput } from './sample.ts';
import { sampleSuites } from './sample-suites.ts';

const render = async (input = sampleInput()): Promise<string> =>
  String((await markdown.render(input))[0]!.body);
const text = await render();

/** Without what a backslash disarms, and without our own line breaks in table cells. */
const armed = (line: string): string => line.replace(/\\[!-/:-@[-`{-~]/g, '').replaceAll('<br>', '');

test('no name gets through as HTML, code, a link or a table cell', () => {
  for (const line of text.split('\n')) {
    expect(armed(line), line).not.toMatch(/<[a-z/!]|`/i);
  }
  for (const table of text.split('\n\n').filter((block) => block.startsWith('| '))) {
    const cells = table.split('\n').map((line) => armed(line).split('|').length);
    expect(new Set(cells).size, table).toBe(1);
  }
});

test('any text becomes one line in which nothing is markup', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (any) => {
      expect(armed(md(any))).not.toMatch(/[\n\r`*_[\]<>#|~&$@\\]|:\/\/|www\./i);
    }),
    { numRuns: 60 },
  );
  expect(md('see https://x.y @someone')).toBe('see https\\://x.y \\@someone');
});

test('the answer says who wins, by what ratio, with which interval, how sure, and what was not ranked', () => {
  expect(text).toContain(
    '**resnet-50** beats **vit-b-16** on latency: 56.0 ms against 172 ms, 3.06× (95% interval 3.02× to 3.11×)',
  );
  expect(text).toContain('sure: 7 rounds; p = 0.012');
  expect(text).toContain('Not ranked: 9 cells correctness only, 3 cells invalid.');
});

test('two rounds: no interval, and nobody is called the winner', async () => {
  const few = await render(sampleInput({ rounds: 2 }));
  expect(few).toContain('3.06×, but 2 rounds cannot make that sure');
  expect(few).toContain('2 rounds: no interval');
  expect(few).not.toMatch(/beats \*\*\S+ on latency/);
});

test('charts are linked by the names under which they are written', () => {
  for (const [, file] of text.matchAll(/\]\(([^)]+)\)/g))
    expect(file).toMatch(/^[a-z0-9-]+\.(png|csv|html)$/);
});

test('golden report.md', async () => {
  const small = sampleSuites().filter(({ info }) => info.name !== 'classification');
  await expect(await render(sampleInput({ suites: small }))).toMatchFileSnapshot(
    '../goldens/report/report.md',
  );
});
