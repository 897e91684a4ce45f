import { describe, expect, it } from 'vitest';
import { configLines } from '../../src/inspect/config.ts';
import { bytes, columns, flow, percent, shortened } from '../../src/inspect/text.ts';

describe('text on a terminal', () => {
  it('is as wide as it looks', () => {
    expect(['abc', '日本', 'e\u0301', ''].map(columns)).toEqual([3, 4, 1, 0]);
  });

  it('is cut in the middle, never wider than asked', () => {
    expect(shortened('vision_tower.encoder', 9)).toBe('visi…oder');
    expect(shortened('short', 9)).toBe('short');
    for (let width = 2; width < 12; width++)
      expect(columns(shortened('日本語の名前です', width))).toBeLessThanOrEqual(width);
  });

  it('flows over lines', () => {
    expect(flow(['aaa', 'bbb', 'cc'], 8)).toEqual(['aaa,', 'bbb, cc']);
    expect(flow([], 8)).toEqual([]);
  });

  it('never calls something nothing, or less than all all', () => {
    expect([0, 1e-9, 0.0005, 0.043, 0.99999, 1].map(percent)).toEqual([
      '0%',
      '<0.01%',
      '0.05%',
      '4.3%',
      '>99.9%',
      '100%',
    ]);
    expect([0, 1023, 1024, 1.5 * 2 ** 30].map(bytes)).toEqual(['0 B', '1023 B', '1.00 KiB', '1.50 GiB']);
  });

  it('shows hyperparameters by group', () => {
    const config = {
      eps: 1e-12,
      depths: [3, 4],
      vision: { width: 8, rotary: { theta: 1e4 } },
      f: () => 0,
      none: undefined,
    };
    expect(configLines(config, 80)).toEqual([
      'eps 1e-12, depths [3, 4]',
      'vision: width 8',
      '  rotary: theta 10000',
    ]);
    expect(configLines({}, 80)).toEqual([]);
    const circular: { self?: unknown } = {};
    circular.self = circular;
    expect(configLines(circular, 80).length).toBeLessThan(10);
  });
});
