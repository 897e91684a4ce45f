import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { VersusError } from '../../../src/core/errors.ts';
import type { Attribute, Graph, Param } from '../../../src/core/graph.ts';
import { random } from '../../../src/core/random.ts';
import { decodeOnnx, encodeOnnx, openOnnx } from '../../../src/graph/onnx/index.ts';
import { corpus, graphs } from './corpus.ts';
import { exercise } from './exercise.ts';
import { mutateGraph } from './graph-mutations.ts';
import { mutate } from './mutations.ts';

const LEN = WireType.LengthDelimited;

function refusal(run: () => unknown): VersusError {
  try {
    run();
  } catch (error) {
    if (error instanceof VersusError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

async function refusalOf(promise: Promise<unknown>): Promise<VersusError> {
  const error = await promise.then(
    () => new Error('it was accepted'),
    (e: unknown) => e,
  );
  if (error instanceof VersusError) return error;
  throw error;
}

/** A model with one initialiser that `write` fills, read by an Identity. */
function withTensor(write: (w: BinaryWriter) => void): Uint8Array {
  const w = new BinaryWriter();
  w.tag(7, LEN).fork();
  w.tag(5, LEN).fork();
  w.tag(8, LEN).string('t');
  write(w);
  w.join();
  w.tag(1, LEN).fork();
  w.tag(1, LEN).string('t').tag(2, LEN).string('y').tag(4, LEN).string('Identity');
  w.join();
  w.tag(12, LEN)
    .fork()
    .tag(1, LEN)
    .string('y')
    .tag(2, LEN)
    .bytes(Uint8Array.of(0x0a, 2, 8, 1))
    .join();
  w.join();
  w.tag(8, LEN).bytes(Uint8Array.of(16, 17));
  return w.finish();
}

const dims = (w: BinaryWriter, ...sizes: (number | bigint)[]) => {
  for (const d of sizes) w.tag(1, WireType.Varint).int64(d);
  w.tag(2, WireType.Varint).int32(1);
};

describe('tensors', () => {
  it.each<[string, (w: BinaryWriter) => void, RegExp]>([
    ['a negative dimension', (w) => dims(w, -3), /a dimension is -3/],
    ['dimensions whose product overflows', (w) => dims(w, 2n ** 40n, 2n ** 40n), /too large/],
    [
      'a terabyte that is not there',
      (w) => dims(w, 2 ** 38),
      /0 elements where its shape needs 274877906944/,
    ],
    [
      'fewer raw bytes than its shape needs',
      (w) => {
        dims(w, 2);
        w.tag(9, LEN).bytes(new Uint8Array(7));
      },
      /7 bytes for shape \[2\]/,
    ],
    ['65 dimensions', (w) => dims(w, ...Array.from({ length: 65 }, () => 1)), /more than 64 dimensions/],
    [
      'strings',
      (w) => {
        dims(w, 1);
        w.tag(6, LEN).string('x');
      },
      /string tensors are not supported/,
    ],
    ['an unknown element type', (w) => w.tag(2, WireType.Varint).int32(99), /element type 99/],
    [
      'doubles in a float tensor',
      (w) => {
        dims(w, 1);
        w.tag(10, LEN).fork().double(1).join();
      },
      /float32 elements in double_data/,
    ],
  ])('%s', (_, write, message) => {
    expect(refusal(() => decodeOnnx(withTensor(write))).describe()).toMatch(message);
  });

  it('takes the same tensor when it is whole', () => {
    const model = withTensor((w) => {
      dims(w, 2);
      w.tag(9, LEN).bytes(new Uint8Array(8));
    });
    expect(decodeOnnx(model).params[0]!.shape).toEqual([2]);
  });
});

const tiny: Graph = {
  name: 'tiny',
  opset: { '': 17 },
  inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
  params: [],
  nodes: [{ op: 'Relu', name: 'r', inputs: ['x'], outputs: ['y'], attrs: {} }],
};

describe('graphs', () => {
  it('a cycle', () => {
    const nodes = ['a', 'b', 'c'].map((name, i, all) => ({
      op: 'Relu',
      name,
      inputs: [all[(i + 2) % 3]!],
      outputs: [name],
      attrs: {},
    }));
    const outputs = [{ name: 'c', dtype: 'float32' as const, shape: [1] }];
    const error = refusal(() => decodeOnnx(encodeOnnx({ ...tiny, nodes, outputs })));
    expect(error.describe()).toMatch(/cycle[\s\S]*node a/);
  });

  it('a cycle of 100,000 nodes', () => {
    const n = 100_000;
    const nodes = Array.from({ length: n }, (_, i) => ({
      op: 'Relu',
      name: '',
      inputs: [`v${(i + 1) % n}`],
      outputs: [`v${i}`],
      attrs: {},
    }));
    const outputs = [{ name: 'v0', dtype: 'float32' as const, shape: [1] }];
    expect(refusal(() => decodeOnnx(encodeOnnx({ ...tiny, nodes, outputs }))).message).toMatch(/cycle/);
  });

  it('subgraphs without end', () => {
    const nest = (depth: number): Graph => {
      if (depth === 0) return tiny;
      const body: Attribute = { kind: 'graph', graph: nest(depth - 1) };
      return { ...tiny, nodes: [{ ...tiny.nodes[0]!, op: 'If', attrs: { then_branch: body } }] };
    };
    expect(decodeOnnx(encodeOnnx({ ...nest(3), inputs: tiny.inputs })).nodes[0]!.op).toBe('If');
    expect(refusal(() => decodeOnnx(encodeOnnx(nest(40)))).message).toMatch(/nested more than 16/);
  });

  it('many subgraphs, or many outputs of unknown operators, take time in proportion', () => {
    const n = 30_000;
    const body: Attribute = { kind: 'graph', graph: tiny };
    const own = (i: number): Attribute => ({
      ...body,
      graph: {
        ...tiny,
        inputs: [],
        nodes: [{ ...tiny.nodes[0]!, outputs: [`i${i}`] }],
        outputs: [{ ...tiny.outputs[0]!, name: `i${i}` }],
      },
    });
    const nodes = Array.from({ length: n }, (_, i) => ({
      op: 'Odd',
      domain: 'd',
      name: '',
      inputs: ['x'],
      outputs: [`v${i}`],
      attrs: { body: own(i) },
    }));
    const outputs = nodes.map((o) => ({ name: o.outputs[0]!, dtype: 'float32' as const, shape: [1] }));
    const start = process.cpuUsage();
    exercise(encodeOnnx({ ...tiny, nodes, outputs, opset: { '': 17, d: 1 } }));
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1e6).toBeLessThan(20);
  });

  it('shape arithmetic that squares itself stays small', () => {
    const nodes = Array.from({ length: 2000 }, (_, i) => ({
      op: 'Mul',
      name: '',
      inputs: [`v${i}`, `v${i}`],
      outputs: [`v${i + 1}`],
      attrs: {},
    }));
    const shape = { op: 'Shape', name: '', inputs: ['x'], outputs: ['v0'], attrs: {} };
    const graph: Graph = {
      ...tiny,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['a+b', 'c-d', 'e'] }],
      outputs: [{ name: 'v2000', dtype: 'int64', shape: [3] }],
      nodes: [shape, ...nodes],
    };
    expect(() => exercise(encodeOnnx(graph))).not.toThrow();
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /holds no graph/],
    ['text', new TextEncoder().encode('<!DOCTYPE html><html></html>'), /not a readable ONNX file/],
    [
      'a length beyond the end',
      Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x07),
      /not a readable ONNX file/,
    ],
  ])('%s', (_, bytes, message) => {
    expect(refusal(() => decodeOnnx(bytes)).message).toMatch(message);
  });
});

describe('external data', () => {
  let root: string;
  let folder: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'versus-external-'));
    folder = join(root, 'model');
    await mkdir(folder);
    await writeFile(join(root, 'secret'), new Uint8Array(64));
    await writeFile(join(folder, 'w.bin'), new Uint8Array(64));
    await symlink(join(root, 'secret'), join(folder, 'link'));
    await symlink('w.bin', join(folder, 'inner-link'));
  });
  afterAll(() => rm(root, { recursive: true }));

  const w: Param = { name: 'w', dtype: 'float32', shape: [8], role: 'weight' };
  const graph: Graph = {
    ...tiny,
    params: [w],
    nodes: [{ ...tiny.nodes[0]!, op: 'Add', inputs: ['x', 'w'] }],
  };
  const at = async (location: string, offset: number): Promise<Awaited<ReturnType<typeof openOnnx>>> => {
    const path = join(folder, 'm.onnx');
    await writeFile(path, encodeOnnx(graph, { external: { location, offsets: { w: offset } } }));
    return openOnnx(path);
  };

  it.each([
    ['../secret', 0, /leaves the model's folder/],
    ['a/../../secret', 0, /leaves the model's folder/],
    ['..\\secret', 0, /leaves the model's folder/],
    ['/etc/passwd', 0, /absolute/],
    ['C:\\secret', 0, /absolute/],
    ['\\\\host\\share', 0, /absolute/],
    ['link', 0, /by a link/],
    ['.', 0, /folder|regular file/],
    ['', 0, /not a path/],
    ['missing.bin', 0, /missing/],
    ['w.bin', 40, /bytes 40 to 72 of a file of 64/],
    ['w.bin', 2 ** 52, /of a file of 64/],
    ['\0', 2 ** 40, /beyond the end/],
  ])('%j at %d is refused', async (location, offset, message) => {
    const error = await refusalOf(at(location, offset));
    expect(error.kind).toBe('input');
    expect(error.describe()).toMatch(message);
  });

  it.each([
    ['w.bin', 32],
    ['./w.bin', 0],
    ['inner-link', 16],
  ])('%j at %d is read', async (location, offset) => {
    const { weights } = await at(location, offset);
    let length = 0;
    for await (const chunk of weights.read(w)) length += chunk.length;
    expect(length).toBe(32);
    await expect(
      weights
        .read({ ...w, shape: [9] })
        [Symbol.asyncIterator]()
        .next(),
    ).rejects.toThrow(VersusError);
    await weights.close();
  });

  it('names a file that is missing, and one that is a folder', async () => {
    expect((await refusalOf(openOnnx(join(folder, 'none.onnx')))).kind).toBe('usage');
    expect((await refusalOf(openOnnx(folder))).kind).toBe('usage');
  });
});

describe('mutations', () => {
  it('of bytes are refused or read, never worse', () => {
    const draw = random(11);
    const seeds = corpus();
    for (let i = 0; i < 3000; i++) tolerate(() => exercise(mutate(draw.pick(seeds), draw)));
  });

  it('of contents are refused or read, never worse', () => {
    const draw = random(12);
    const sources = graphs();
    let read = 0;
    for (let i = 0; i < 400; i++) {
      tolerate(() => {
        exercise(encodeOnnx(mutateGraph(draw.pick(sources), draw)));
        read++;
      });
    }
    expect(read).toBeGreaterThan(50);
  });

  it('of files on disk are refused or opened, never worse', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'versus-mutations-'));
    const draw = random(13);
    const seeds = corpus();
    for (let i = 0; i < 500; i++) {
      const path = join(folder, 'm.onnx');
      await writeFile(path, mutate(draw.pick(seeds), draw));
      const opened = await openOnnx(path).catch((error: unknown) => {
        if (!(error instanceof VersusError)) throw error;
      });
      await opened?.weights.close();
    }
    await rm(folder, { recursive: true });
  });
});

function tolerate(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof VersusError)) throw error;
  }
}
