import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Graph, Param, ValueInfo } from '../../src/core/graph.ts';
import { toNumbers } from '../../src/core/tensor.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { operatorOf } from '../../src/graph/ops/index.ts';
import type { OperatorCase } from './operator-cases.ts';
import { runInterpreter } from './operator-run.ts';
import { ELEMENTWISE } from './operators-elementwise.ts';
import { LINEAR } from './operators-linear.ts';
import { MORE } from './operators-more.ts';
import { MOVEMENT } from './operators-movement.ts';

/** The case as a graph of one node. With `known`, every input is a constant, so that contents can be followed. */
function graphOf(c: OperatorCase, known: boolean): Graph {
  const inputs: ValueInfo[] = [];
  const params: Param[] = [];
  c.inputs.forEach((t, i) => {
    if (!t) return;
    const name = `in${i}`;
    if (known || c.fixed.includes(i)) params.push({ name, ...t, role: 'constant' });
    else inputs.push({ name, dtype: t.dtype, shape: t.shape });
  });
  const outputs = Array.from({ length: c.outputs }, (_, i) => `out${i}`);
  const names = c.inputs.map((t, i) => (t ? `in${i}` : ''));
  const { op, domain = '', attrs, floats } = c;
  const nodes = [{ op, domain, name: 'it', inputs: names, outputs, attrs, floats }];
  return { name: c.op, opset: { '': c.opset }, inputs, params, outputs: [], nodes };
}

const ALL = { ...ELEMENTWISE, ...LINEAR, ...MOVEMENT, ...MORE };
/** Cases of operators that the table has. */
const TYPED = Object.entries(ALL).filter(([, cases]) =>
  operatorOf(fc.sample(cases, { numRuns: 1, seed: 1 })[0]!),
);

// The interpreter is held to onnxruntime on the same cases, so its results are what a runtime really gives.
describe('what is inferred is what a run gives', () => {
  it.each(TYPED)('%s', (_, cases) => {
    fc.assert(
      fc.property(cases, fc.boolean(), (c, known) => {
        const expected = runInterpreter(c);
        const { types } = inferTypes(graphOf(c, known), {});
        for (const [name, tensor] of Object.entries(expected)) {
          const type = types.get(name);
          expect(type?.dtype).toBe(tensor.dtype);
          // A dimension that depends on data has a made-up name.
          const shape = type?.shape.map((d, i) =>
            typeof d === 'string' && d.startsWith('?') ? tensor.shape[i] : d,
          );
          expect(shape).toEqual(tensor.shape);
          if (!type?.value) continue;
          const actual = toNumbers(tensor);
          expect(type.value.length).toBe(actual.length);
          type.value.forEach((v, i) => {
            const close =
              typeof v === 'number' && Math.abs(v - actual[i]!) <= 1e-5 * Math.max(1, Math.abs(actual[i]!));
            expect(Object.is(v, actual[i]) || close).toBe(true);
          });
        }
      }),
      { numRuns: 30, seed: 5 },
    );
  });
});

it('covers the table', () => {
  expect(TYPED.length).toBeGreaterThan(100);
});
