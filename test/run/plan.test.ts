import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Availability } from '../../src/core/backend.ts';
import type { Suite } from '../../src/core/suite.ts';
import type { PlanFilter } from '../../src/run/filter.ts';
import { plan, referenceCell } from '../../src/run/plan.ts';
import { speedCases } from '../../src/run/schedule.ts';
import { backend, CPU, config, model, PROFILE, workload } from './sketch.ts';

const SUITE: Suite = {
  name: 'classification',
  question: 'Which?',
  arms: [
    { name: 'small', model: model('resnet-18'), tier: 'smoke', group: 'CNN' },
    { name: 'large', model: model('resnet-50') },
    { name: 'vit', model: model('vit-b-16') },
    { name: 'huge', model: model('vit-l-16'), tier: 'release' },
  ],
  uses: [
    { workload: workload('classify'), params: {}, batches: [{ size: 1 }, { size: 8, tier: 'default' }] },
  ],
  headline: ['latency'],
};
const GONE: Availability = { available: false, version: null, reason: 'no adapter', fix: 'install Vulkan' };
const PROBES = new Map<string, Availability>([
  ['cpu', CPU],
  ['gpu', GONE],
]);
const ids = (filter: Partial<PlanFilter>, suites = [SUITE]) =>
  plan(config(suites), { profile: 'default', ...filter }, PROBES).cells.map((c) => c.case_id);

describe('plan', () => {
  it('crosses arms, batches and backends of the tier, with stable ids', () => {
    expect(ids({})).toEqual([
      'classification/classify/small/cpu/fp32/b1',
      'classification/classify/large/cpu/fp32/b1',
      'classification/classify/vit/cpu/fp32/b1',
      'classification/classify/small/cpu/fp32/b8',
      'classification/classify/large/cpu/fp32/b8',
      'classification/classify/vit/cpu/fp32/b8',
    ]);
    expect(ids({ profile: 'smoke' })).toEqual(['classification/classify/small/cpu/fp32/b1']);
  });

  it('asks less of suites and models that nobody named, where a profile has it so', () => {
    const [small, large, ...others] = SUITE.arms;
    const arms = [small!, { ...large!, tier: 'overview' as const }, ...others];
    const suite: Suite = { ...SUITE, arms, overview: true };
    const profiles = { default: { ...PROFILE, unnamed: 'overview' as const }, full: PROFILE };
    const armsOf = (filter: Partial<PlanFilter>, of = suite) =>
      plan(config([of], { profiles }), { profile: 'default', ...filter }, PROBES).cells.map(
        (cell) => `${cell.arm} b${cell.batch}`,
      );
    const all = armsOf({ profile: 'full' });
    expect(all).toHaveLength(6);
    expect(armsOf({})).toEqual(['small b1', 'large b1']);
    expect(armsOf({ rounds: 9, backends: ['cpu'] })).toEqual(['small b1', 'large b1']);
    expect(armsOf({ suites: ['classification'] })).toEqual(all);
    expect(armsOf({ models: ['vit'] })).toEqual(['vit b1', 'vit b8']);
    // A suite that has no overview is asked for everything.
    expect(armsOf({}, { ...SUITE, arms })).toEqual(all);
    // What a gate measures again was measured, by whatever it was asked for.
    expect(armsOf({ cases: ['classification/classify/vit/cpu/fp32/b8'] })).toEqual(['vit b8']);
  });

  it('filters models by glob on the model and on the arm', () => {
    expect(ids({ models: ['resnet-*'] })).toHaveLength(4);
    expect(ids({ models: ['v?t'] })).toHaveLength(2);
    expect(ids({ models: ['resnet-18', 'vit-b-16'] })).toHaveLength(4);
  });

  it('plans an unavailable backend only when it was named, and says why it is blocked', () => {
    const named = plan(config([SUITE]), { profile: 'smoke', backends: ['gpu'] }, PROBES);
    expect(named.cells).toHaveLength(1);
    const blocked = named.blocked.get(named.cells[0]!.case_id);
    expect(blocked?.status).toBe('unavailable');
    expect(blocked?.reason).toBe('no adapter To change that: install Vulkan');
  });

  it('plans an oracle only when it was named', () => {
    const withOracle = config([SUITE], { backends: [backend('cpu'), { ...backend('slow'), oracle: true }] });
    const probes = new Map([...PROBES, ['slow', CPU] as const]);
    const backends = (filter: Partial<PlanFilter>) =>
      new Set(plan(withOracle, { profile: 'smoke', ...filter }, probes).cells.map((c) => c.backend));
    expect(backends({})).toEqual(new Set(['cpu']));
    expect(backends({ backends: ['slow'] })).toEqual(new Set(['slow']));
  });

  it('leaves out a precision that a device lacks unless it was named', () => {
    const both: Suite = { ...SUITE, precisions: ['fp32', 'fp16'] };
    expect(ids({ profile: 'smoke' }, [both])).toHaveLength(1);
    const named = plan(config([both]), { profile: 'smoke', precisions: ['fp16'] }, PROBES);
    expect([...named.blocked.values()]).toEqual([
      { status: 'unsupported', reason: 'cpu has no fp16 on test CPU' },
    ]);
  });

  it('takes the precision that was named where a suite names none, and a suite by its word', () => {
    const probes = new Map([...PROBES, ['cpu', { ...CPU, precisions: ['fp32', 'int4'] as const }] as const]);
    const found = (suite: Suite, precisions: string[]) =>
      plan(config([suite]), { profile: 'smoke', precisions }, probes).cells.map((c) => c.precision);
    expect(found(SUITE, [])).toEqual(['fp32']);
    expect(found(SUITE, ['int4'])).toEqual(['int4']);
    expect(found(SUITE, ['int4', 'fp32'])).toEqual(['fp32', 'int4']);
    expect(found({ ...SUITE, precisions: ['fp32', 'fp16'] }, ['fp32', 'int4'])).toEqual(['fp32']);
    expect(() => found({ ...SUITE, precisions: ['fp32'] }, ['int4'])).toThrow(/nothing to measure/);
  });

  describe('asks a backend that was not named for as much as it is worth', () => {
    const soft: Availability = { ...CPU, device: { ...CPU.device, kind: 'gpu', software: true } };
    const gpu: Availability = { ...CPU, device: { ...CPU.device, kind: 'gpu' } };
    const two: Suite = {
      ...SUITE,
      arms: [...SUITE.arms, { name: 'deit', model: model('deit-s-16'), tier: 'smoke' }],
    };
    const profiles = {
      ...config([]).profiles,
      overview: { ...PROFILE, tier: 'overview' as const },
      release: { ...PROFILE, tier: 'release' as const },
    };
    const asked = (probe: Availability, filter: Partial<PlanFilter>, suite: Suite = two, secondary = true) =>
      plan(
        config([suite], { profiles, backends: [backend('cpu'), { ...backend('gpu'), secondary }] }),
        { profile: 'default', ...filter },
        new Map([...PROBES, ['gpu', probe]]),
      )
        .cells.filter((cell) => cell.backend === 'gpu')
        .map((cell) => `${cell.arm} b${cell.batch}`);

    it.each<[string, Availability, string, string[] | number]>([
      ['a real GPU', gpu, 'smoke', ['small b1', 'deit b1']],
      ['a real GPU', gpu, 'default', 8],
      ['a real GPU', gpu, 'release', 10],
      ['a secondary one on the processor', CPU, 'smoke', ['small b1']],
      ['a secondary one on the processor', CPU, 'overview', ['small b1']],
      ['a secondary one on the processor', CPU, 'default', ['small b1', 'deit b1']],
      ['a secondary one on the processor', CPU, 'release', 10],
      ['a software adapter', soft, 'smoke', ['small b1']],
      ['a software adapter', soft, 'overview', ['small b1']],
      ['a software adapter', soft, 'default', ['small b1']],
      ['a software adapter', soft, 'release', ['small b1', 'deit b1']],
    ])('%s, %#: profile %s', (_, probe, profile, expected) => {
      const found = asked(probe, { profile });
      if (typeof expected === 'number') expect(found).toHaveLength(expected);
      else expect(found).toEqual(expected);
    });

    it('asks a backend that is not marked as secondary for everything', () => {
      for (const profile of ['smoke', 'default', 'release'])
        expect(asked(CPU, { profile }, two, false)).toEqual(asked(gpu, { profile }));
    });

    it('does not ask it for quality where it is asked for one arm, nor on a software adapter', () => {
      const scored = (probe: Availability, profile: string, backends: string[] = []) =>
        plan(
          config([two], { profiles, backends: [backend('cpu'), { ...backend('gpu'), secondary: true }] }),
          { profile, backends },
          new Map([...PROBES, ['gpu', probe]]),
        ).unscored.size === 0;
      expect(['smoke', 'overview', 'default', 'release'].map((profile) => scored(CPU, profile))).toEqual([
        ...[false, false, true, true],
      ]);
      expect(scored(CPU, 'smoke', ['gpu'])).toBe(true);
      expect(scored(gpu, 'smoke')).toBe(true);
      expect(scored(soft, 'release')).toBe(false);
    });

    it('asks it for everything when it is named', () => {
      expect(asked(soft, { backends: ['gpu'] })).toHaveLength(8);
      expect(asked(CPU, { backends: ['gpu'] })).toHaveLength(8);
    });

    it('leaves to the main backends what the suite leaves to them', () => {
      const [small, ...others] = two.arms;
      const suite: Suite = { ...two, arms: [{ ...small!, mainBackendsOnly: true }, ...others] };
      expect(asked(CPU, {}, suite)).toEqual(['deit b1']);
      expect(asked(CPU, { profile: 'release' }, suite)).toHaveLength(10);
      expect(asked(soft, {}, suite)).toEqual(['deit b1']);
    });

    describe('with arms that need something of a backend', () => {
      const own = { model: model('resnet-50'), needs: 'autograd', mainBackendsOnly: true } as const;
      const suite: Suite = {
        ...two,
        arms: [
          ...two.arms,
          { name: 'large itself', ...own },
          { name: 'vit itself', ...own, tier: 'release' },
        ],
        contrasts: [
          ['large', 'large itself'],
          ['vit', 'vit itself'],
        ],
      };
      const planned = (probe: Availability, filter: Partial<PlanFilter>) => {
        const able = {
          ...backend('gpu'),
          secondary: true,
          openAutograd: () => Promise.reject(new Error('never')),
        };
        return plan(
          config([suite], { profiles, backends: [backend('cpu'), able] }),
          { profile: 'default', ...filter },
          new Map([...PROBES, ['gpu', probe]]),
        );
      };
      const arms = (probe: Availability, filter: Partial<PlanFilter> = {}) =>
        planned(probe, filter).cells.map((cell) => `${cell.arm} ${cell.backend} b${cell.batch}`);

      it('gives them to those that have it, with what they are contrasted with, in the tiers of the profile', () => {
        const able = arms(CPU).filter((cell) => cell.includes('gpu'));
        expect(able).toEqual(['small gpu b1', 'large gpu b1', 'deit gpu b1', 'large itself gpu b1']);
        expect(arms(CPU, { profile: 'smoke' })).not.toContainEqual(expect.stringMatching(/large|vit/));
        expect(arms(soft)).not.toContain('large gpu b1');
        expect(planned(CPU, {}).suites[0]!.only).toEqual({ 'large itself': ['gpu'], 'vit itself': ['gpu'] });
      });

      it('asks no other, named or not', () => {
        for (const filter of [{}, { backends: ['cpu'] }, { profile: 'release' }]) {
          expect(arms(CPU, filter).filter((cell) => cell.includes('itself cpu'))).toEqual([]);
        }
        expect(() => arms(CPU, { backends: ['cpu'], models: ['large itself'] })).toThrow(
          /nothing to measure/,
        );
      });
    });

    it('takes a suite without tiers for a suite of one tier', () => {
      const untiered = { ...SUITE, arms: SUITE.arms.map(({ name, model: of }) => ({ name, model: of })) };
      expect(asked(CPU, {}, untiered)).toEqual(['small b1', 'large b1', 'vit b1', 'huge b1']);
      expect(asked(soft, {}, untiered)).toEqual(['small b1']);
    });
  });

  it('records what an arm sets, and asks some for fewer rounds below release', () => {
    const [small, ...others] = SUITE.arms;
    const suite: Suite = {
      ...SUITE,
      arms: [{ ...small!, params: { way: 'lora', r: 8 }, rounds: 1 }, ...others],
    };
    const profiles = { ...config([]).profiles, release: { ...PROFILE, tier: 'release' as const } };
    const made = (profile: string) => plan(config([suite], { profiles }), { profile }, PROBES);
    const { cells, limits } = made('default');
    expect(cells.map((c) => c.settings)).toContain('{"way":"lora","r":8}');
    expect(cells.filter((c) => 'settings' in c).every((c) => c.arm === 'small')).toBe(true);
    expect([...limits]).toEqual(cells.filter((c) => c.arm === 'small').map((c) => [c.case_id, 1]));
    expect(speedCases(cells, 3, limits).filter((c) => c.arm === 'small')).toHaveLength(2);
    expect(speedCases(cells, 3, limits).filter((c) => c.arm === 'vit')).toHaveLength(6);
    expect(made('release').limits.size).toBe(0);
  });

  it('marks software adapters', () => {
    const soft: Availability = { ...CPU, device: { ...CPU.device, kind: 'gpu', software: true } };
    const made = plan(config([SUITE]), { profile: 'smoke' }, new Map([...PROBES, ['gpu', soft]]));
    expect([...made.software]).toEqual(['gpu']);
    expect(made.cells).toHaveLength(2);
  });

  it('splits into shards that are disjoint, complete and never part two arms of one question', () => {
    const all = ids({});
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), (of) => {
        const shards = Array.from({ length: of }, (_, i) => ids({ shard: { index: i + 1, of } }));
        expect(shards.flat().sort()).toEqual([...all].sort());
        for (const shard of shards) expect(shard.length % 3).toBe(0);
      }),
    );
  });

  it.each([
    [{ suites: ['clasification'] }, 'classification'],
    [{ backends: ['cpo'] }, 'cpu'],
    [{ models: ['resnet-19'] }, 'resnet-18'],
    [{ profile: 'smokey' }, 'smoke'],
    [{ precisions: ['fp23'] }, 'fp32'],
  ])('names what is near to an unknown name: %j', (filter, near) => {
    expect(() => ids(filter)).toThrow(
      expect.objectContaining({ kind: 'usage', next: expect.stringContaining(near) }),
    );
  });

  it.each([
    [{ rounds: 0 }],
    [{ rounds: 1.5 }],
    [{ shard: { index: 3, of: 2 } }],
    [{ models: ['vit-l-16'] }],
  ])('refuses %j', (filter) => {
    expect(() => ids(filter)).toThrow(expect.objectContaining({ kind: 'usage' }));
  });

  it('refuses two uses that would make one case', () => {
    const twice: Suite = { ...SUITE, uses: [...SUITE.uses, ...SUITE.uses] };
    expect(() => ids({}, [twice])).toThrow(/same case/);
  });

  it('compares every backend and precision of a cell with one reference cell', () => {
    const cells = plan(config([SUITE]), { profile: 'smoke', backends: ['gpu', 'cpu'] }, PROBES).cells;
    expect(new Set(cells.map((c) => referenceCell(c, 'cpu').case_id)).size).toBe(1);
  });

  it('compares fp16 with fp32, and blocks with the same blocks', () => {
    const [cell] = plan(config([SUITE]), { profile: 'smoke' }, PROBES).cells;
    const reference = (precision: string) => referenceCell({ ...cell!, precision }, 'cpu').precision;
    expect(['fp32', 'fp16', 'int8', 'int4'].map(reference)).toEqual(['fp32', 'fp32', 'int8', 'int4']);
  });

  it('sets every other arm against the first where the suite names no contrasts', () => {
    const [info] = plan(config([SUITE]), { profile: 'smoke' }, PROBES).suites;
    expect(info?.contrasts).toEqual([
      ['small', 'large'],
      ['small', 'vit'],
      ['small', 'huge'],
    ]);
  });
});
