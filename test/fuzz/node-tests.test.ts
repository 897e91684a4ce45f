import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { afterAll, describe, expect, it } from 'vitest';
import { float32, type Tensor } from '../../src/core/tensor.ts';
import { encodeOnnx } from '../../src/graph/onnx/index.ts';
import { encodeTensor } from '../../src/graph/onnx/tensor.ts';
import { reference } from './compare.ts';
import { single } from './known.ts';
import { inferenceProblem, judge, nodeTestNames, readNodeTest } from './node-tests.ts';

const root = mkdtempSync(join(tmpdir(), 'versus-node-tests-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(name: string, op: string, x: Tensor, y: Tensor): void {
  const data = join(root, name, 'test_data_set_0');
  mkdirSync(data, { recursive: true });
  writeFileSync(join(root, name, 'model.onnx'), encodeOnnx(single(op, { x }, {}).graph));
  for (const [file, t] of [
    ['input_0.pb', x],
    ['output_0.pb', y],
  ] as const) {
    const w = new BinaryWriter();
    encodeTensor(w, t, t.data);
    writeFileSync(join(data, file), w.finish());
  }
}

const x = float32([2], [1, -2]);
write('test_neg', 'Neg', x, float32([2], [-1, 2]));
write('test_neg_near', 'Neg', x, float32([2], [-1.0005, 2]));
write('test_neg_wrong', 'Neg', x, float32([2], [-1, 2.25]));
write('test_neg_shape', 'Neg', x, float32([2, 1], [-1, 2]));
write('test_strange', 'Frobnicate', x, x);

const verdict = (name: string) => {
  const test = readNodeTest(root, name);
  return judge(test, reference(test.model, test.feeds));
};

describe("ONNX's node tests", () => {
  it('are found by their models, and say what is wrong with a folder that has none', () => {
    expect(nodeTestNames(root)).toHaveLength(5);
    expect(() => nodeTestNames(join(root, 'test_neg'))).toThrow('holds no test_');
    expect(() => nodeTestNames(join(root, 'nowhere'))).toThrow('no such folder');
  });

  it('pass within a thousandth, and fail beyond', () => {
    expect(verdict('test_neg')).toEqual({ name: 'test_neg', op: 'Neg', verdict: 'passed' });
    expect(verdict('test_neg_near').verdict).toBe('passed');
    expect(verdict('test_neg_wrong')).toMatchObject({
      verdict: 'failed',
      reason: 'y[1] is 2, not 2.25',
    });
    expect(verdict('test_neg_shape').reason).toBe('y has shape [2], not [2, 1]');
  });

  it('are unsupported where the operator is', () => {
    expect(verdict('test_strange')).toMatchObject({ op: 'Frobnicate', verdict: 'unsupported' });
  });

  it('hold shape inference to the sizes of what comes out', () => {
    expect(inferenceProblem(readNodeTest(root, 'test_neg'))).toBeNull();
    expect(inferenceProblem(readNodeTest(root, 'test_neg_shape'))).toMatch(/says float32\[2\] for y/);
  });
});
