import { describe, expect, it } from 'vitest';
import { plan } from '../../src/run/plan.ts';
import { faultOf } from '../../src/run/record-schema.ts';
import { powerLaw, SIZES_FOR_EXPONENT } from '../../src/stats/power-law.ts';
import { classify } from '../../src/workloads/classify.ts';
import { model } from '../../src/zoo/index.ts';
import type { SwinConfig } from '../../src/zoo/swin.ts';
import { paddedStages } from '../../src/zoo/swin-shape.ts';
import resolution from '../../suites/resolution.ts';
import { backend, CPU, config, PROFILE, runRecord } from '../run/sketch.ts';

const profiles = {
  smoke: { ...PROFILE, tier: 'smoke' as const },
  default: { ...PROFILE, tier: 'default' as const },
  release: { ...PROFILE, tier: 'release' as const },
};
const planned = (profile: string, backends = [backend('cpu')]) =>
  plan(
    config([resolution], { profiles, backends }),
    { profile },
    new Map(backends.map(({ name }) => [name, CPU])),
  );
const sizesOf = (profile: string): Record<string, number[]> => {
  const arms = new Set(planned(profile).cells.map(({ arm }) => arm));
  return Object.fromEntries(
    resolution
      .growth!.lines.map(({ name, points }): [string, number[]] => [
        name,
        points.filter(({ arm }) => arms.has(arm)).map(({ size }) => size),
      ])
      .filter(([, sizes]) => sizes.length > 0),
  );
};

describe('the suite resolution', () => {
  it('has sizes enough for an exponent of every contender in every profile, and is small where time is short', () => {
    const [smoke, usual, release] = ['smoke', 'default', 'release'].map(sizesOf);
    expect(Object.keys(smoke!)).toEqual(['deit-ti-16']);
    expect(Object.keys(usual!)).toEqual(['deit-ti-16', 'swin-t-half', 'resnet-18']);
    expect(Object.keys(release!)).toHaveLength(6);
    for (const sizes of [smoke!, usual!, release!].flatMap((lines) => Object.values(lines))) {
      expect(sizes.length).toBeGreaterThanOrEqual(SIZES_FOR_EXPONENT);
    }
    expect(planned('default').cells).toHaveLength(9);
    expect(Math.max(...Object.values(release!).flat())).toBe(1024);
    // Elsewhere than on the main backends it would say the same again.
    const secondary = { ...backend('wasm'), secondary: true as const };
    const cells = planned('default', [backend('cpu'), secondary]).cells;
    expect(cells.some((cell) => cell.backend === 'wasm')).toBe(false);
  });

  it('counts what the architectures promise: windows and convolutions in proportion to the pixels, global attention more', async () => {
    const exponents: Record<string, number> = {};
    for (const line of resolution.growth!.lines.slice(0, 3)) {
      const { name } = line;
      const points = line.points.filter(({ size }) => size <= 512);
      const macs: number[] = [];
      for (const { arm } of points) {
        const { model: sized } = resolution.arms.find((other) => other.name === arm)!;
        macs.push((await classify.macs!({}, 1, sized))!);
      }
      const pixels = points.map(({ size }) => size ** resolution.growth!.dimensions);
      exponents[name] = powerLaw(pixels, macs)!.exponent;
    }
    for (const name of ['swin-t-half', 'resnet-18']) {
      expect(exponents[name], name).toBeCloseTo(1, 2);
    }
    expect(exponents['deit-ti-16']).toBeGreaterThan(1.15);
  });

  it('says whether a Swin is padded: not at its sizes, but where windows do not fill the grids', () => {
    const notes = resolution.growth!.lines.flatMap(({ note }) => note ?? []);
    expect(notes).toHaveLength(2);
    for (const note of notes) expect(note).toMatch(/nothing is padded$/);
    const { config: swin } = model('swin-t') as { config: SwinConfig };
    expect(paddedStages({ ...swin, image: [224, 224] })).toEqual([]);
    expect(paddedStages({ ...swin, image: [384, 384] })).toEqual([0, 1, 2, 3]);
    // 96 × 48, 48 × 24, 24 × 12, 12 × 6 tokens.
    expect(paddedStages({ ...swin, window: [8, 8], image: [384, 192] })).toEqual([2, 3]);
  });

  it('is written into the records as it is, so that a report needs no config', () => {
    const { suites } = planned('default');
    expect(suites[0]!.growth).toEqual(resolution.growth);
    const run = runRecord({ suites });
    expect(faultOf(run)).toBeNull();
    const broken = { ...suites[0]!, growth: { ...resolution.growth, dimensions: 0 } };
    expect(faultOf({ ...run, suites: [broken] })).toContain('suites[0].growth.dimensions');
  });
});
