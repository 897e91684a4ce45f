import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Precision } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Artifact, ModelDef } from '../../src/core/model.ts';
import { tensor, toBytes } from '../../src/core/tensor.ts';
import { GraphBuilder } from '../../src/graph/builder.ts';
import { openOnnx } from '../../src/graph/onnx/index.ts';
import {
  prepareArtifacts,
  readSafetensors,
  safetensors,
  seeded,
  writeSafetensors,
} from '../../src/weights/index.ts';
import { plainBlocks } from './plain-blocks.ts';

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), 'versus-blocks-'));
});
afterEach(() => rm(cacheDir, { recursive: true, force: true }));

const prepare = (model: ModelDef, precision: Precision) =>
  prepareArtifacts(model, { cacheDir, maxBytes: 1e9, precision });
const weightsOf = (artifact: Artifact | undefined) =>
  readSafetensors(join(dirname(artifact!.path), 'weights.safetensors'));

/** A tied table [rows, width] in two graphs, and a layer [width, rows] in one of them, with some more that stays as it is. */
function tied(rows: number, width: number): ModelDef {
  return {
    ...{ name: 'tied', family: 'test', task: 'classify', config: {} },
    build: () => {
      const embed = new GraphBuilder('embed');
      const ids = embed.input('ids', 'int64', ['n']);
      embed.output('y', embed.gather(embed.param('table', [rows, width]), ids));
      const head = new GraphBuilder('head');
      const x = head.input('x', 'float32', ['n', width]);
      const logits = head.gemm(x, head.param('table', [rows, width]), null, { transB: 1 });
      const bias = head.param('fc.bias', [width], { kind: 'constant', value: 0.5 });
      head.output('y', head.gemm(logits, head.param('fc.weight', [width, rows]), bias, { transB: 1 }));
      return { embed: embed.build(), head: head.build() };
    },
  };
}

describe('artifacts in blocks', () => {
  it.each(['int4', 'int8'] as const)('%s holds the blocks of the float32 numbers', async (precision) => {
    const model = tied(50, 40);
    const plain = await weightsOf((await prepare(model, 'fp32')).head);
    const artifacts = await prepare(model, precision);
    const found = await weightsOf(artifacts.head);
    const bits = precision === 'int4' ? 4 : 8;
    expect(Object.keys(found).sort()).toEqual(
      ['fc.bias', `fc.weight_Q${bits}`, 'fc.weight_scales', 'table', `table_Q${bits}`, 'table_scales'].sort(),
    );
    // The look-up reads the table itself; the head its blocks.
    expect(found.table).toEqual(plain.table);
    expect(found['fc.bias']).toEqual(plain['fc.bias']);
    for (const [name, n, k] of [
      ['table', 50, 40],
      ['fc.weight', 40, 50],
    ] as const) {
      const numbers = plain[name]!.data as Float32Array;
      const blocks = plainBlocks(n, k, bits, (row, i) => numbers[row * k + i]!);
      expect(found[`${name}_Q${bits}`]).toEqual(tensor('uint8', [n, 2, bits * 4], blocks.values));
      expect(found[`${name}_scales`]).toEqual(tensor('float32', [n * 2], blocks.scales));
    }
    // What is on the disk decodes to the graph that the artifact tells.
    const { graph, weights } = await openOnnx(artifacts.head!.path);
    expect(graph.opset['com.microsoft']).toBe(1);
    expect(graph.nodes.map((n) => n.op)).toEqual(['MatMulNBits', 'MatMulNBits', 'Add']);
    await weights.close();
    const source = await artifacts.head!.weights();
    const packed = (await artifacts.head!.graph()).params.find((p) => p.packed?.holds === 'values')!;
    const bytes: Buffer[] = [];
    for await (const chunk of source.read(packed)) bytes.push(Buffer.from(chunk));
    expect(new Uint8Array(Buffer.concat(bytes))).toEqual(found[packed.name]!.data);
    await source.close();
  });

  it('streams what is larger than its buffers', async () => {
    const model = tied(1100, 1000);
    const table = (await weightsOf((await prepare(model, 'fp32')).embed)).table!.data as Float32Array;
    const found = await weightsOf((await prepare(model, 'int4')).embed);
    const blocks = plainBlocks(1100, 1000, 4, (row, i) => table[row * 1000 + i]!);
    expect(Buffer.compare(found.table_Q4!.data as Uint8Array, blocks.values)).toBe(0);
    expect(Buffer.compare(toBytes(found.table_scales!.data), toBytes(blocks.scales))).toBe(0);
  });

  it('reads a real checkpoint of another type, and says what does not fit as always', async () => {
    const [rows, width] = [33, 64];
    const bits = Uint16Array.from({ length: rows * width }, (_, i) => 0x3c00 + ((i * 37) % 2048));
    const path = join(cacheDir, 'real.safetensors');
    await writeSafetensors(path, {
      table: tensor('bfloat16', [rows, width], bits),
      'fc.weight': tensor(
        'float32',
        [width, rows],
        Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i)),
      ),
      'fc.bias': tensor('float32', [width], new Float32Array(width)),
    });
    const model = { ...tied(rows, width), weights: safetensors(path) };
    const found = await weightsOf((await prepare(model, 'int4')).head);
    const wide = new Float32Array(Uint32Array.from(bits, (b) => b << 16).buffer);
    const blocks = plainBlocks(rows, width, 4, (row, i) => wide[row * width + i]!);
    expect(found.table_Q4!.data).toEqual(blocks.values);
    const other = { ...tied(rows, width + 1), weights: safetensors(path) };
    await expect(prepare(other, 'int4')).rejects.toThrow(
      /table: the model has \[33,65\], the file \[33,64\]/,
    );
  });

  it('refuses a checkpoint with numbers that are not finite, and leaves nothing half-written', async () => {
    const table = new Float32Array(40 * 40);
    table[777] = Number.NaN;
    const path = join(cacheDir, 'nan.safetensors');
    await writeSafetensors(path, {
      table: tensor('float32', [40, 40], table),
      'fc.weight': tensor('float32', [40, 40], new Float32Array(40 * 40)),
      'fc.bias': tensor('float32', [40], new Float32Array(40)),
    });
    const model = { ...tied(40, 40), weights: safetensors(path) };
    const error = await prepare(model, 'int8').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(VersusError);
    expect(error).toMatchObject({ kind: 'input', where: 'table' });
    expect(
      (await readdir(cacheDir)).filter((n) => n.startsWith('.building') || /^[0-9a-f]{16}$/.test(n)),
    ).toEqual([]);
  });

  it('has an entry per precision, with the same bytes every time', async () => {
    const model = tied(50, 40);
    const all = await Promise.all((['fp32', 'fp16', 'int8', 'int4'] as const).map((p) => prepare(model, p)));
    expect(new Set(all.map((a) => dirname(a.head!.path))).size).toBe(4);
    expect(new Set(all.map((a) => a.head!.sha256)).size).toBe(4);
    const once = await readFile(join(dirname(all[3]!.head!.path), 'weights.safetensors'));
    await rm(dirname(all[3]!.head!.path), { recursive: true });
    const again = await prepare(model, 'int4');
    expect(again.head!.sha256).toBe(all[3]!.head!.sha256);
    const path = join(dirname(again.head!.path), 'weights.safetensors');
    expect(Buffer.compare(await readFile(path), once)).toBe(0);
    expect((await prepare({ ...model, weights: seeded(1) }, 'int4')).head!.path).not.toBe(again.head!.path);
  });

  it('has an entry per precision even where nothing is converted', async () => {
    const narrow = tied(20, 20);
    const [a, b] = [await prepare(narrow, 'fp32'), await prepare(narrow, 'int4')];
    expect(dirname(a.head!.path)).not.toBe(dirname(b.head!.path));
    expect((await weightsOf(b.head)).table).toEqual((await weightsOf(a.head)).table);
  });

  it('asks for the disk before a byte is written', async () => {
    const huge = tied(2 ** 24, 2 ** 20);
    const error = await prepare(huge, 'int4').catch((e: unknown) => e);
    expect(error).toMatchObject({ kind: 'infrastructure', where: cacheDir });
    // 2⁴⁵ weights of 4 bits with a scale per 32, and the table a second time in float32.
    expect((error as Error).message).toMatch(/too little disk space: 92359\.\d GB needed, [\d.]+ GB free/);
    expect((error as VersusError).next).toMatch(/cache\.dir/);
    expect(await readdir(cacheDir)).toEqual([]);
  });

  it('keeps matrices apart that are used as they are and transposed', async () => {
    const graphs = (transB: 0 | 1) => {
      const g = new GraphBuilder('g');
      const x = g.input('x', 'float32', ['n', 32]);
      g.output('y', g.gemm(x, g.param('w', [32, 32]), null, { transB }));
      return g.build();
    };
    const model = { ...tied(1, 1), build: () => ({ a: graphs(0), b: graphs(1) }) };
    const w = (await weightsOf((await prepare(model, 'fp32')).a)).w!.data as Float32Array;
    const found = await weightsOf((await prepare(model, 'int4')).a);
    expect(found.w_Q4!.data).toEqual(plainBlocks(32, 32, 4, (row, i) => w[row * 32 + i]!).values);
    expect(found['w.T_Q4']!.data).toEqual(plainBlocks(32, 32, 4, (row, i) => w[i * 32 + row]!).values);
  });

  it('refuses a user’s own file that holds no such blocks', async () => {
    const files = { model: 'test/fixtures/onnx-vit/model.onnx' };
    await expect(prepare({ ...tied(1, 1), files }, 'int4')).rejects.toThrow(/not in blocks of 4-bit weights/);
    const { head } = await prepare(tied(50, 40), 'int8');
    const mine = { ...tied(1, 1), files: { model: head!.path } };
    expect((await prepare(mine, 'int8')).model!.path).toBe(head!.path);
    await expect(prepare(mine, 'int4')).rejects.toThrow(/not in blocks of 4-bit weights/);
  });
});
