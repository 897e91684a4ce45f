import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { Backend, OpenOptions, Session } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import { float32, int64, type Tensors, tensor, toNumbers } from '../../src/core/tensor.ts';
import { readSafetensors } from '../../src/weights/index.ts';
import { artifactAt, workplace } from './artifact.ts';
import {
  blocks,
  blur,
  cache,
  dense,
  denseByHand,
  half,
  halves,
  impossible,
  tokens,
} from './contract-graphs.ts';
import { residentContract } from './contract-residents.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const FP32: OpenOptions = { precision: 'fp32' };

/**
 * What every backend must do, as tests. A backend that is not available on this machine is reported as skipped, with the reason.
 * Call it at the top level of a test file: `await backendContract(reference)`.
 */
export async function backendContract(backend: Backend): Promise<void> {
  const availability = await backend.probe();
  if (!availability.available) {
    describe.skip(`${backend.name}: ${availability.reason}`, () => {
      it('keeps the backend contract', () => {});
    });
    return;
  }
  const files = workplace();

  async function using<T>(graph: Graph, body: (session: Session) => Promise<T>, options = FP32): Promise<T> {
    const session = await backend.open(await files.write(graph), options);
    try {
      return await body(session);
    } finally {
      await session.close();
    }
  }
  const x = (...rows: number[][]) => ({ x: float32([rows.length, 3], rows.flat()) });
  const near = (tensors: Tensors, name: string, expected: readonly number[]) => {
    const got = [...toNumbers(tensors[name]!)];
    expect(got).toHaveLength(expected.length);
    got.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i]!, 4);
    });
  };

  residentContract(backend, availability.device, files);

  describe(`${backend.name} keeps the backend contract`, () => {
    it('names its device, version and precisions', () => {
      expect(availability.device.name).not.toBe('');
      expect(availability.version).not.toBe('');
      expect(availability.precisions).toContain('fp32');
    });

    it('describes inputs and outputs as the graph declares them', () =>
      using(dense(), async (s) => {
        expect(s.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['batch', 3] }]);
        expect(s.outputs.map((o) => [o.name, o.dtype])).toEqual([
          ['y', 'float32'],
          ['total', 'float32'],
        ]);
      }));

    it('computes what one computes by hand, at any batch, run after run', () =>
      using(dense(), async (s) => {
        for (const rows of [
          [[1, 2, 3]],
          [
            [0, 0, 0],
            [-5, 1, 1],
            [9, 9, 9],
          ],
          [
            [4, 5, 6],
            [1, 1, 1],
          ],
        ]) {
          const out = await s.run(x(...rows));
          const expected = denseByHand(rows);
          expect(out.y!.shape).toEqual([rows.length, 2]);
          near(out, 'y', expected.y);
          near(out, 'total', expected.total);
        }
      }));

    it('convolves and pools', () =>
      using(blur(), async (s) => {
        const image = float32(
          [1, 1, 4, 4],
          Array.from({ length: 16 }, (_, i) => i),
        );
        near(await s.run({ x: image }), 'y', [45, 54, 81, 90]);
      }));

    it('takes and gives int64 and bool', () =>
      using(tokens(), async (s) => {
        const out = await s.run({
          ids: int64([1, 3], [3, 1, 2]),
          mask: tensor('bool', [1, 3], new Uint8Array([1, 1, 0])),
        });
        expect(out.embedded!.shape).toEqual([1, 3, 2]);
        near(out, 'embedded', [3, 30, 1, 10, 0, 0]);
        expect(out.next).toEqual(int64([1, 3], [4, 2, 3]));
        expect(out.large).toEqual(tensor('bool', [1, 3], new Uint8Array([1, 0, 1])));
      }));

    it('takes a tensor without elements (an empty cache) and its own outputs as inputs', () =>
      using(cache(), async (s) => {
        let past = float32([1, 2, 0, 3], []);
        for (let step = 1; step <= 3; step++) {
          const out = await s.run({ past, now: float32([1, 2, 1, 3], new Array(6).fill(step)) });
          expect(out.present!.shape).toEqual([1, 2, step, 3]);
          near(out, 'mean', new Array(6).fill((step + 1) / 2));
          past = out.present!;
        }
      }));

    it.runIf(availability.precisions.includes('fp16'))('computes in half precision', () =>
      using(
        half(),
        async (s) => {
          const out = await s.run({ x: halves([1, -0.5, 100.125]) });
          expect(out.y).toEqual(halves([3, 0, 201.25]));
          expect(s.options.precision).toBe('fp16');
        },
        { precision: 'fp16' },
      ),
    );

    it.each([
      ['int4', 4],
      ['int8', 8],
    ] as const)('computes with weights in blocks where it says %s', async (precision, bits) => {
      if (!availability.precisions.includes(precision)) return;
      // Ones and minus ones: numbers that 8 bits hold, for the runtimes that round activations to them.
      const rows = [0, 1].map((row) => Array.from({ length: 40 }, (_, i) => (i % 3 === row ? -1 : 1)));
      const byHand = rows.flatMap((x) =>
        [0, 1, 2].map((r) => x.reduce((sum, v, i) => sum + (i % (r + 2) === 0 ? v * (r + 1) : 0), 0)),
      );
      await using(
        blocks(bits),
        async (s) => near(await s.run({ x: float32([2, 40], rows.flat()) }), 'y', byHand),
        { precision },
      );
    });

    it('computes only what is fetched', () =>
      using(dense(), async (s) => {
        const out = await s.run(x([1, 2, 3]), ['total']);
        expect(Object.keys(out)).toEqual(['total']);
        near(out, 'total', denseByHand([[1, 2, 3]]).total);
      }));

    it('refuses wrong feeds and fetches by name and stays usable', () =>
      using(dense(), async (s) => {
        const wrong: [Tensors, string[] | undefined, RegExp][] = [
          [{}, undefined, /'x' is missing/],
          [{ ...x([1, 2, 3]), z: float32([1], [1]) }, undefined, /no input 'z'/],
          [{ x: int64([1, 3], [1, 2, 3]) }, undefined, /'x' wants float32, got int64/],
          [{ x: float32([3], [1, 2, 3]) }, undefined, /'x' wants shape \[batch, 3\], got \[3\]/],
          [{ x: float32([1, 4], [1, 2, 3, 4]) }, undefined, /'x' wants shape \[batch, 3\], got \[1, 4\]/],
          [
            { x: { dtype: 'float32', shape: [2, 3], data: new Float32Array(3) } },
            undefined,
            /'x'.*wants 6 elements, got 3/,
          ],
          [x([1, 2, 3]), ['nothing'], /no output 'nothing'/],
          [x([1, 2, 3]), [], /no output/],
        ];
        for (const [feeds, fetch, message] of wrong) {
          const error = await s.run(feeds, fetch).catch((e: unknown) => e);
          expect(error).toBeInstanceOf(VersusError);
          expect((error as VersusError).kind).toBe('input');
          expect((error as VersusError).message).toMatch(message);
        }
        near(await s.run(x([1, 2, 3])), 'y', denseByHand([[1, 2, 3]]).y);
      }));

    it('refuses an unknown operator as unsupported, with its name and node', async () => {
      const artifact = await files.write(impossible());
      const error = await backend.open(artifact, FP32).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(VersusError);
      expect((error as VersusError).kind).toBe('unsupported');
      expect((error as VersusError).describe()).toMatch(/Frobnicate[\s\S]*head\/Frobnicate/);
    });

    it('refuses corrupt, empty and missing files without harm', async () => {
      const whole = await files.write(dense());
      for (const bytes of [
        new Uint8Array(0),
        new Uint8Array(300).fill(0xff),
        Buffer.from('GIF89a not a model'),
      ]) {
        const broken = await files.raw('broken', bytes);
        await expect(backend.open(broken, FP32)).rejects.toBeInstanceOf(VersusError);
      }
      await expect(backend.open(artifactAt(`${whole.path}.gone`), FP32)).rejects.toBeInstanceOf(VersusError);
      const session = await backend.open(whole, FP32);
      near(await session.run(x([1, 2, 3])), 'y', denseByHand([[1, 2, 3]]).y);
      await session.close();
    });

    it('closes twice and refuses to run afterwards', async () => {
      const session = await backend.open(await files.write(dense()), FP32);
      await session.run(x([1, 2, 3]));
      await session.close();
      await session.close();
      await expect(session.run(x([1, 2, 3]))).rejects.toThrow(/closed/);
    });

    it('keeps two sessions apart and overlapping runs in order', async () => {
      const first = await backend.open(await files.write(dense()), FP32);
      const second = await backend.open(await files.write(blur()), FP32);
      const rows = [0, 1, 2, 3].map((i) => [i, i, i]);
      const outs = await Promise.all([
        ...rows.map((row) => first.run(x(row))),
        second.run({ x: float32([1, 1, 4, 4], new Array(16).fill(1)) }),
      ]);
      rows.forEach((row, i) => {
        near(outs[i]!, 'y', denseByHand([row]).y);
      });
      near(outs[4]!, 'y', [9, 9, 9, 9]);
      await first.close();
      near(await second.run({ x: float32([1, 1, 4, 4], new Array(16).fill(2)) }), 'y', [18, 18, 18, 18]);
      await second.close();
    });

    it('says which options were in force, as plain values', () =>
      using(
        dense(),
        async (s) => {
          expect(s.options.precision).toBe('fp32');
          for (const value of Object.values(s.options)) {
            expect(value === null || ['string', 'number', 'boolean'].includes(typeof value)).toBe(true);
          }
          near(await s.run(x([1, 2, 3])), 'y', denseByHand([[1, 2, 3]]).y);
        },
        { precision: 'fp32', threads: 1, optimisation: 'disabled', arena: false },
      ));

    it('proves where the nodes ran', () =>
      using(
        dense(),
        async (s) => {
          await s.run(x([1, 2, 3]));
          await s.run(x([1, 2, 3]));
          const placement = await s.placement();
          expect(placement).not.toBeNull();
          const { nodes, share, strays } = placement!;
          expect(Object.values(nodes).reduce((a, b) => a + b, 0)).toBeGreaterThan(0);
          expect(share).toBe(1);
          expect(strays).toEqual([]);
          const times = await s.profile?.();
          if (times) {
            expect(times.length).toBeGreaterThan(0);
            for (const node of times) {
              expect(node.op).not.toBe('');
              expect(node.ms).toHaveLength(2);
              expect(node.ms.every((ms) => ms >= 0)).toBe(true);
            }
          }
          near(await s.run(x([1, 2, 3])), 'y', denseByHand([[1, 2, 3]]).y);
        },
        { precision: 'fp32', prove: true },
      ));

    it('gives the same bits again, in the same session and in another', async () => {
      const artifact = artifactAt(join(FIXTURES, 'onnx-vit', 'model.onnx'));
      const io = await readSafetensors(join(FIXTURES, 'onnx-vit', 'io.safetensors'));
      const bits = async (session: Session): Promise<string> =>
        JSON.stringify([...toNumbers((await session.run(prefixed(io, 'input.'))).logits!)]);
      const one = await backend.open(artifact, FP32);
      const two = await backend.open(artifact, FP32);
      const results = [await bits(one), await bits(one), await bits(two)];
      await Promise.all([one.close(), two.close()]);
      expect(new Set(results).size).toBe(1);
    });

    // A software adapter takes thirty times as long for each, and so does the interpreter, whose arrays are the engine's own.
    const runs = availability.device.software || backend.name === 'reference' ? 60 : 200;
    it(`does not grow over ${runs} runs`, () =>
      using(dense(), async (s) => {
        const feeds = x(...Array.from({ length: 16_384 }, (_, i) => [i, 1, -i]));
        // Native buffers are freed by finalisers that run in later turns of the event loop.
        const settled = async (): Promise<number> => {
          for (let i = 0; i < 3; i++) {
            collectGarbage();
            await new Promise((resolve) => setImmediate(resolve));
          }
          const { heapUsed, external } = process.memoryUsage();
          return heapUsed + external;
        };
        // The first round only brings allocators and garbage collection to their working size.
        for (let i = 0; i < runs; i++) await s.run(feeds);
        const before = await settled();
        for (let i = 0; i < runs; i++) await s.run(feeds);
        // Kept outputs alone would be 192 KiB a run, 11 MB or more. (The resident size is no measure: it follows the allocators' mood.)
        expect((await settled()) - before).toBeLessThan(8 << 20);
      }));

    // A software adapter compiles shaders for half a minute per ResNet; `blur` has shown its convolution already.
    const networks = ['onnx-vit', ...(availability.device.software ? [] : ['onnx-resnet', 'onnx-resnet-bn'])];
    it.each(networks)('equals torch on %s', async (name) => {
      const io = await readSafetensors(join(FIXTURES, name, 'io.safetensors'));
      const session = await backend.open(artifactAt(join(FIXTURES, name, 'model.onnx'), name), FP32);
      const out = await session.run(prefixed(io, 'input.'));
      await session.close();
      for (const [key, expected] of Object.entries(prefixed(io, 'output.'))) {
        const [a, b] = [toNumbers(out[key]!), toNumbers(expected)];
        const scale = b.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
        expect(a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i]!)), 0)).toBeLessThan(1e-4 * scale);
      }
    });
  });
}

function prefixed(tensors: Tensors, prefix: string): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).flatMap(([k, t]) => (k.startsWith(prefix) ? [[k.slice(prefix.length), t]] : [])),
  );
}
