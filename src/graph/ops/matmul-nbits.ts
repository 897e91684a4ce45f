import { type OpTable, typed } from './entry.ts';

/**
 * onnxruntime's product with a weight that is stored in blocks of few bits (docs/ContribOperators.md, `com.microsoft`):
 * A […, K], B uint8 [N, blocks, block · bits ÷ 8], scales [N · blocks], zero points, group index, bias [N] → […, N].
 */
export const blocked: OpTable = {
  MatMulNBits: {
    inputs: [3, 6],
    since: 1,
    infer: (c) => {
      const [k, n] = [c.int('K', 0), c.int('N', 0)];
      const [bits, block] = [c.int('bits', 4), c.int('block_size', 0)];
      if (k < 1 || n < 1) c.fail(`a weight of ${n} × ${k}`);
      if (![2, 4, 8].includes(bits)) c.fail(`${bits} bits`);
      if (block < 16 || !Number.isInteger(Math.log2(block))) c.fail(`blocks of ${block}`);
      const a = c.shape(0);
      if (a.length === 0) c.fail('a scalar has no matrix product');
      c.same(a.at(-1)!, k, 'the inner dimension differs');
      const blocks = n * Math.ceil(k / block);
      [(blocks * block * bits) / 8, blocks].forEach((size, i) => {
        const shape = c.shape(i + 1);
        const known = shape.every((d) => typeof d === 'number');
        if (known && product(shape as number[]) !== size) c.fail(`input ${i + 1} must have ${size} elements`);
      });
      return [typed(c.in(0).dtype, [...a.slice(0, -1), n])];
    },
    macs: (c) => product(c.output(0)) * (c.input(0).at(-1) ?? 1),
  },
};

const product = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
