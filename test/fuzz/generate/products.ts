import fc from 'fast-check';
import { random } from '../../../src/core/random.ts';
import type { Value } from '../sketch.ts';
import { dim, draw, numbered, operand, raw, type Step, type Steps } from './draws.ts';

const shapeOf = (v: Value): readonly number[] => v.tensor.shape;

const matmul = fc.tuple(draw, draw, dim, fc.nat(3), fc.boolean()).map(
  ([a, b, n, form, half]): Step =>
    (s) => {
      const x = operand(s, a, { dtypes: half ? ['float16'] : ['float32'], rank: [1, 4] });
      const k = shapeOf(x).at(-1)!;
      const lead = shapeOf(x).slice(0, -2);
      const shape = {
        0: [k, n],
        1: [k],
        2: [...lead.map((size, i) => ((b.seed >> i) & 1 ? 1 : size)), k, n],
        3: [2, ...lead.map(() => 1), k, n],
      }[form]!;
      const y = operand(
        s,
        { ...b, shape },
        {
          dtypes: [x.tensor.dtype],
          rank: [shape.length, shape.length],
          where: (v) => shapeOf(v).join() === shape.join(),
        },
      );
      s.emit('MatMul', [x, y]);
    },
);

const gemm = fc
  .record({
    a: draw,
    b: draw,
    n: dim,
    ta: fc.nat(1),
    tb: fc.nat(1),
    bias: fc.nat(4),
    scaled: fc.boolean(),
    plain: fc.boolean(),
  })
  .map(
    ({ a, b, n, ta, tb, bias, scaled, plain }): Step =>
      (s) => {
        if (s.opset < 7) return;
        const x = operand(s, a, { dtypes: ['float32', 'float32', 'float16'], rank: [2, 2] });
        const [rows, k] = ta ? [shapeOf(x)[1]!, shapeOf(x)[0]!] : [shapeOf(x)[0]!, shapeOf(x)[1]!];
        const w = numbered(x.tensor.dtype, tb ? [n, k] : [k, n], b.seed);
        const c = [null, [n], [1, n], [rows, 1], []][bias];
        if (!c && s.opset < 11) return;
        const attrs = {
          ...(plain && !ta ? {} : { transA: ta }),
          ...(plain && !tb ? {} : { transB: tb }),
          ...(scaled && { alpha: 0.5, beta: 2 }),
        };
        const inputs = [x, b.constant ? s.constant(w) : s.input(w)];
        if (c) inputs.push(s.constant(numbered(x.tensor.dtype, c, b.seed + 1)));
        s.emit('Gemm', inputs, attrs, { floats: ['alpha', 'beta'] });
      },
  );

const EQUATIONS = [
  'ij,jk->ik',
  'bij,bjk->bik',
  'ij,kj->ik',
  'bhqd,bhkd->bhqk',
  'ij->ji',
  'ii->i',
  'i,j->ij',
  'bij,jk->bik',
  'ij,ij->',
  'ij,jk',
  '...ij,...jk->...ik',
  'ij->j',
];
const einsum = fc
  .tuple(
    draw,
    fc.constantFrom(...EQUATIONS),
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 8, maxLength: 8 }),
  )
  .map(
    ([d, equation, sizes]): Step =>
      (s) => {
        if (s.opset < 12) return;
        const letters = [...new Set(equation.replace(/[^a-z]/g, ''))];
        const terms = equation.split('->')[0]!.split(',');
        const inputs = terms.map((term, i) => {
          const own = [...term.replace('...', '')].map((letter) => sizes[letters.indexOf(letter)]!);
          return s.input(numbered('float32', term.startsWith('...') ? [sizes[7]!, ...own] : own, d.seed + i));
        });
        s.emit('Einsum', inputs, { equation });
      },
  );

/** onnxruntime's product with a weight in blocks of 4 or 8 bits. */
const blocks = fc
  .tuple(draw, fc.constantFrom(4, 8), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 }), raw)
  .map(
    ([d, bits, n, m, odd]): Step =>
      (s) => {
        const k = odd % 2 === 0 ? 32 : 40;
        const count = Math.ceil(k / 32);
        const next = random(d.seed);
        const data = Uint8Array.from({ length: n * count * 4 * bits }, () => next.below(256));
        const w = s.constant({ dtype: 'uint8', shape: [n, count, 4 * bits], data });
        const scales = s.constant({
          dtype: 'float32',
          shape: [n * count],
          data: Float32Array.from({ length: n * count }, () => (1 + next.below(4)) / (bits === 8 ? 128 : 16)),
        });
        const x = s.input(numbered('float32', odd % 3 === 0 ? [m, k] : [1, m, k], d.seed));
        s.emit(
          'MatMulNBits',
          [x, w, scales],
          { K: k, N: n, bits, block_size: 32 },
          { domain: 'com.microsoft' },
        );
      },
  );

const integer = fc.tuple(draw, dim, fc.constantFrom('uint8' as const, 'int8' as const), fc.nat(2)).map(
  ([d, n, dtype, zeros]): Step =>
    (s) => {
      if (s.opset < 10) return;
      const [m, k] = [d.shape[0] ?? 2, Math.max(1, d.shape[1] ?? 3)];
      const a = s.input(numbered('uint8', [m, k], d.seed, [0, 20]));
      const b = s.constant(numbered(dtype, [k, n], d.seed + 1, dtype === 'int8' ? [-9, 9] : [0, 9]));
      const points = [
        [],
        [s.constant(numbered('uint8', [], 1, [3, 9]))],
        [s.constant(numbered('uint8', [], 1, [3, 9])), s.constant(numbered(dtype, [], 2, [1, 4]))],
      ];
      s.emit('MatMulInteger', [a, b, ...points[zeros]!], {}, { exact: true });
    },
);

/** Matrix products. */
export const products: Steps = {
  MatMul: matmul,
  Gemm: gemm,
  Einsum: einsum,
  MatMulNBits: blocks,
  MatMulInteger: integer,
};
