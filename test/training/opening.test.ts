import { describe, expect, it } from 'vitest';
import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { openingOf } from '../../src/training/opening.ts';

const CSE = { disable_specified_optimizers: 'CommonSubexpressionElimination' };

describe('the options of a step', () => {
  it.each([
    'cpu',
    'webgpu',
    'cuda',
  ] as const)('keep what %s would merge apart, only where it is there', (provider) => {
    const { training } = onnxruntime(provider);
    expect(openingOf({ recomputes: true }, training).extra).toEqual({
      ...training!.open?.extra,
      optimization: CSE,
    });
    expect(openingOf({}, training)).toEqual(training!.open ?? {});
  });

  it('leave the last word to the caller, entry by entry', () => {
    const asked = {
      optimisation: 'all',
      extra: { enableMemPattern: true, optimization: { enable_gelu_approximation: '1' } },
    } as const;
    expect(openingOf({ recomputes: true }, onnxruntime('cpu').training, asked)).toEqual({
      ...{ optimisation: 'all', arena: true },
      extra: { enableMemPattern: true, optimization: { ...CSE, enable_gelu_approximation: '1' } },
    });
    expect(openingOf({ recomputes: true })).toEqual({});
  });
});
