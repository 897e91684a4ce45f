import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph } from '../../src/core/graph.ts';
import { scopesOf, trainedIn, weightParts } from '../../src/transform/scope.ts';
import { model } from '../../src/zoo/index.ts';

const PARTS = {
  vision: ['vision_tower'],
  'cross-modal': ['multi_modal_projector'],
  text: ['language_model'],
};

async function graphsOf(name: string): Promise<Graph[]> {
  const def = model(name);
  return Object.values(await def.build(def.config));
}

describe('scopes', () => {
  it('are disjoint and complete over the parts of a model', async () => {
    const parts = weightParts(await graphsOf('llava-tiny'), PARTS);
    const sets = ['vision', 'decoder', 'cross-modal'].map((scope) => trainedIn(scope, parts, 'm'));
    expect(sets.reduce((n, set) => n + set.size, 0)).toBe(parts.size);
    expect(new Set(sets.flatMap((set) => [...set]))).toEqual(trainedIn('full', parts, 'm'));
    expect(trainedIn('vision+cross-modal', parts, 'm')).toEqual(new Set([...sets[0]!, ...sets[2]!]));
    expect([...sets[2]!]).toEqual(
      ['1', '2'].flatMap((i) => ['weight', 'bias'].map((t) => `multi_modal_projector.linear_${i}.${t}`)),
    );
  });

  it('are refused where the model has none of that name', async () => {
    const parts = weightParts(await graphsOf('resnet-tiny'), undefined);
    expect(scopesOf(parts)).toEqual(['full']);
    expect(trainedIn('full', parts, 'resnet-tiny').size).toBe(parts.size);
    expect(() => trainedIn('vision', parts, 'resnet-tiny')).toThrow("resnet-tiny has no scope 'vision'");
    expect(() => trainedIn('visoin', weightParts([], undefined), 'm')).toThrow("unknown scope 'visoin'");
  });

  it('need every part that they cover', () => {
    const only = (part: 'vision' | 'text') =>
      new Map([
        ['a', part],
        ['b', undefined],
      ] as const);
    expect(scopesOf(only('vision'))).toEqual(['vision', 'full']);
    expect(scopesOf(only('text'))).toEqual(['decoder', 'full']);
  });

  it('never train a parameter twice, whatever the parts are', () => {
    const segment = fc.constantFrom('a', 'b', 'c', '*', '0');
    const starts = fc.array(
      fc.array(segment, { maxLength: 3 }).map((s) => s.join('.')),
      { maxLength: 4 },
    );
    const names = fc.uniqueArray(
      fc
        .array(
          segment.filter((s) => s !== '*'),
          { minLength: 1, maxLength: 4 },
        )
        .map((s) => s.join('.')),
    );
    fc.assert(
      fc.property(names, starts, starts, starts, (all, vision, text, cross) => {
        const graph: Graph = {
          ...{ name: 'g', opset: {}, inputs: [], outputs: [], nodes: [] },
          params: all.map((name) => ({ name, dtype: 'float32', shape: [1], role: 'weight' })),
        };
        const parts = weightParts([graph], { vision, text, 'cross-modal': cross });
        const scopes = scopesOf(parts).filter((s) => s !== 'full' && s !== 'vision+cross-modal');
        const trained = scopes.flatMap((scope) => [...trainedIn(scope, parts, 'm')]);
        expect(new Set(trained).size).toBe(trained.length);
        const rest = all.filter((name) => parts.get(name) === undefined);
        expect(trained.length + rest.length).toBe(all.length);
      }),
      { numRuns: 200 },
    );
  });
});
