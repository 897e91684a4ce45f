import { describe, expect, test } from 'vitest';
import type { ReportInput } from '../../src/core/report.ts';
import { backendTables } from '../../src/report/backend-table.ts';
import {
  absences,
  backendVerdict,
  raceName,
  raceSentence,
  racesOf,
  unavailable,
  unrankedIn,
} from '../../src/report/backends.ts';
import type { Phrase } from '../../src/report/statement.ts';
import { suiteViews } from '../../src/report/view.ts';
import { sampleInput } from './sample.ts';

const plain = (phrase: Phrase | null): string | undefined =>
  phrase?.map((part) => (typeof part === 'string' ? part : part.name)).join('');
const viewOf = (input: ReportInput, suite = 'backends') =>
  suiteViews(input).find(({ info }) => info.name === suite)!;
const view = viewOf(sampleInput());
const races = racesOf(view);
const race = (arm: string) => races.find((candidate) => candidate.arm === arm)!;

describe('models on several backends', () => {
  test('every model that was planned on more than one backend is a race, on the time that the suite leads with', () => {
    expect(races.map(({ arm, metric, rows }) => [arm, metric, rows.length])).toEqual([
      ['resnet-18', 'latency', 3],
      ['deit-s-16', 'latency', 3],
      ['swin-t', 'latency', 3],
    ]);
    expect(racesOf(viewOf(sampleInput(), 'zero-shot'))).toEqual([]);
  });

  test('the fastest is named with ratio, interval and certainty; who is not ranked, with a word', () => {
    expect(plain(raceSentence(race('resnet-18')))).toMatch(
      /^onnxruntime-cpu beats tfjs-wasm on latency: 23\.\d ms against 119 ms, 5\.0\d× \(95% interval 4\.\d+× to 5\.\d+×\)$/,
    );
    expect(race('resnet-18').statements[0]!.certainty).toBe('sure');
    expect(unrankedIn(race('resnet-18'))).toBe('not ranked: onnxruntime-webgpu correctness only');
    expect(plain(raceSentence(race('swin-t')))).toMatch(
      /^only onnxruntime-cpu has a valid value on latency: 55\.\d ms$/,
    );
    expect(unrankedIn(race('swin-t'))).toBe('not ranked: tfjs-wasm invalid, onnxruntime-webgpu unsupported');
  });

  test('nothing is sure with two rounds, and no winner is named', () => {
    const few = viewOf(sampleInput({ rounds: 2 }));
    expect(plain(raceSentence(racesOf(few)[0]!))).toContain('2 rounds cannot make that sure');
    expect(plain(backendVerdict(few))).toBe('Fastest backend: resnet-18: not sure; deit-s-16: not sure');
  });

  test('one sentence for the whole suite', () => {
    expect(plain(backendVerdict(view))).toMatch(
      /^Fastest backend for resnet-18, deit-s-16: onnxruntime-cpu, 5\.\d+×, \d\.\d+× ahead of tfjs-wasm$/,
    );
    expect(backendVerdict(viewOf(sampleInput(), 'classification'))).toBeNull();
  });

  test('a name says only what tells a race from the others', () => {
    expect(raceName(races[0]!, races)).toBe('resnet-18');
    const batches = racesOf(viewOf(sampleInput(), 'classification'));
    expect(raceName(batches[0]!, batches)).toBe('resnet-50, batch 1');
  });

  test('why a backend is missing: parity, placement, operator and node, not asked for, not here', () => {
    const text = absences(view).join('\n');
    expect(text).toContain('relative 0.31 where 0.001 is allowed');
    expect(text).toContain('12% of the nodes did not run on tfjs-wasm');
    expect(text).toContain('node "/layers/0/roll", opset 20');
    expect(text).toContain('Not on this machine, for reasons below: onnxruntime-cuda.');
    const cells = view.cells.filter(
      ({ arm, backend }) => !(arm === 'swin-t' && backend !== 'onnxruntime-cpu'),
    );
    expect(absences({ ...view, cells })[0]).toBe(
      'Not asked for swin-t: onnxruntime-webgpu, tfjs-wasm (to change that: --backend onnxruntime-webgpu, or the profile release).',
    );
    // Who lacks what an arm needs could not be asked.
    const info = { ...view.info, only: { 'swin-t': ['onnxruntime-cpu', 'tfjs-wasm'] } };
    expect(absences({ ...view, info, cells })[0]).toBe(
      'Not asked for swin-t: tfjs-wasm (to change that: --backend tfjs-wasm, or the profile release).',
    );
    expect(unavailable(view.backends)).toEqual([
      {
        backend: 'onnxruntime-cuda',
        reason: 'no NVIDIA driver was found. To change that: install one, then <b>reboot</b>',
      },
    ]);
    expect(unavailable(undefined)).toEqual([]);
  });

  test('the table has a line per model, a column per backend, and never a number for what is not ranked', () => {
    const [table] = backendTables(view);
    expect(table!.columns.map(({ title }) => title)).toEqual([
      'model',
      'onnxruntime-cpu',
      'tfjs-wasm',
      'onnxruntime-webgpu',
    ]);
    const text = table!.rows.map((row) => row.map(({ text: shown }) => shown));
    expect(text[2]!.slice(2)).toEqual(['invalid', 'unsupported']);
    expect(table!.rows[0]![1]!.note).toBe('fastest');
    expect(table!.rows[0]![2]!.note).toMatch(/^5\.\d+× \(.+ to .+\), sure$/);
  });

  test('records of before backends were written down have races all the same', () => {
    const input = sampleInput();
    const { backends: _, ...run } = input.info.run;
    const old = viewOf({ ...input, info: { ...input.info, run } });
    expect(racesOf(old)).toHaveLength(3);
    expect(absences(old).join()).not.toContain('Not on this machine');
  });
});
