import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { lookAsJson } from '../../src/inspect/json.ts';
import { look } from '../../src/inspect/look.ts';
import { reportLines } from '../../src/inspect/report.ts';
import { columns } from '../../src/inspect/text.ts';
import type { LoraSpec } from '../../src/transform/lora-targets.ts';
import { foreign, llava, weight } from './models.ts';

async function lookAt(def: ModelDef<never> | ModelDef, asked: { scope?: string; lora?: LoraSpec } = {}) {
  const model = def as ModelDef;
  return look(model, await model.build(model.config), { dims: { ...model.dims, batch: 1 }, ...asked });
}
const style = { width: 80, depth: 3, paint: pc.createColors(false) };
const asked = {
  scope: 'vision+cross-modal',
  lora: { r: 4, alpha: 8, targets: ['q_proj', 'v_proj', 'linear_1'] },
};
const all = Number.POSITIVE_INFINITY;

describe('a model for people', () => {
  it('is the golden text', async () => {
    const text = reportLines(await lookAt(llava), style).join('\n');
    await expect(`${text}\n`).toMatchFileSnapshot('../goldens/inspect/llava.txt');
  });

  it('is the golden text with a scope and a LoRA', async () => {
    const found = await lookAt(llava, asked);
    const text = reportLines(found, { ...style, depth: all, width: 100 }).join('\n');
    await expect(`${text}\n`).toMatchFileSnapshot('../goldens/inspect/llava-lora.txt');
  });

  it.each([60, 80, 100, 140])('keeps to %i columns, coloured or not', async (width) => {
    const found = await lookAt(llava, asked);
    const plain = reportLines(found, { ...style, width, depth: all });
    expect(plain.filter((line) => columns(line) > width)).toEqual([]);
    expect(plain.filter((line) => line !== line.trimEnd())).toEqual([]);
    const coloured = reportLines(found, { width, depth: all, paint: pc.createColors(true) });
    expect(coloured.join('\n')).not.toBe(plain.join('\n'));
    expect(coloured.map((line) => stripVTControlCharacters(line))).toEqual(plain);
  });

  it('opens as many levels as asked', async () => {
    const found = await lookAt(llava);
    const rows = (depth: number) => {
      const lines = reportLines(found, { ...style, depth });
      return lines.slice(lines.findIndex((line) => line.startsWith('modules')) + 1);
    };
    expect(rows(0)).toHaveLength(2);
    expect(rows(1).filter((line) => /^ {2}\(/.test(line))).toHaveLength(3);
    expect(rows(1).filter((line) => /^ {4}\(/.test(line))).toEqual([]);
    expect(rows(all).length).toBeGreaterThan(rows(3).length);
  });
});

describe('a hostile file', () => {
  const names = [
    '__proto__.constructor.weight',
    'a\u001b[31mred\u001b[0m\u009b2J\r\nb.weight',
    Array(1000).fill('deep').join('.'),
    '\u202egnp.weight',
    '日本語'.repeat(100),
    'x'.repeat(100_000),
    '..',
  ];
  const many = Array.from({ length: 4000 }, (_, i) => (i % 2 ? `m${i * 3}.weight` : `top${i}`));

  it('is bounded and clean as text', async () => {
    const found = await lookAt(foreign([...names, ...many].map((name) => weight(name))));
    const lines = reportLines(found, { ...style, depth: all });
    expect(lines.length).toBeLessThan(500);
    expect(lines.filter((line) => columns(line) > 80)).toEqual([]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not come through
    expect(lines.filter((line) => /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/.test(line))).toEqual([]);
    expect(lines.join('\n')).toContain('more tensors');
  });

  it('is whole as JSON', async () => {
    const params = names.map((name) => weight(name));
    const json = JSON.parse(JSON.stringify(lookAsJson(await lookAt(foreign(params)))));
    const tensors = (m: { tensors: { tensor: string }[]; children: never[] }): string[] => [
      ...m.tensors.map((t) => t.tensor),
      ...m.children.flatMap(tensors),
    ];
    expect(tensors(json.tree).sort()).toEqual([...names].sort());
    expect(json.parameters).toBe(2 * names.length);
  });
});

describe('a model as JSON', () => {
  const keys = (value: unknown) => Object.keys(value as object).sort();

  it('has these keys', async () => {
    const json = lookAsJson(await lookAt(llava, asked));
    expect(keys(json)).toEqual(
      [
        'buffers',
        'children',
        'config',
        'dims',
        'family',
        'graphs',
        'lora',
        'macs',
        'name',
        'parameters',
        'parts',
        'published',
        'scope',
        'scopes',
        'task',
        'tree',
        'weight_bytes',
      ], // prettier-ignore
    );
    const tree = json.tree as { children: { tensors: unknown[] }[] };
    expect(keys(tree)).toEqual([
      'adapter',
      'buffers',
      'children',
      'layer',
      'name',
      'parameters',
      'part',
      'path',
      'share',
      'tensors',
      'trainable',
    ]);
    expect(keys(json.scope)).toEqual(['frozen', 'name', 'share', 'trainable', 'unread']);
    expect(keys(json.lora)).toEqual([
      'all',
      'alpha',
      'bytes',
      'modules',
      'r',
      'share',
      'targets',
      'trainable',
    ]);
    expect(keys((json.lora as { modules: unknown[] }).modules[0])).toEqual([
      'a',
      'b',
      'kind',
      'module',
      'parameters',
      'tensor',
      'unread',
    ]);
    expect(keys((json.parts as unknown[])[0])).toEqual(['modules', 'parameters', 'part', 'share']);
    expect(keys((json.graphs as { vision: unknown }).vision)).toEqual(
      [
        'inputs',
        'macs',
        'macs_unknown',
        'nodes',
        'operators',
        'opset',
        'outputs',
        'parameters',
        'weight_bytes',
      ], // prettier-ignore
    );
  });

  it('counts what trains', async () => {
    const json = lookAsJson(await lookAt(llava, asked)) as {
      parameters: number;
      parts: { part: string; parameters: number; modules: string[] }[];
      scope: { trainable: number; frozen: number };
      lora: { trainable: number; bytes: object; modules: { module: string }[] };
      tree: { trainable: number; adapter: number; part: string | null };
    };
    const [vision, text, cross] = json.parts;
    expect(json.parts.map((p) => [p.part, p.modules])).toEqual([
      ['vision', ['vision_tower']],
      ['text', ['language_model']],
      ['cross-modal', ['multi_modal_projector']],
    ]);
    expect(json.scope.trainable).toBe(vision!.parameters + cross!.parameters);
    expect(json.scope.frozen).toBe(text!.parameters);
    expect(json.tree).toMatchObject({
      trainable: json.scope.trainable,
      adapter: json.lora.trainable,
      part: null,
    });
    // Three layers of the tower, q and v, and the projector's first layer: all are 64 wide.
    expect(json.lora.trainable).toBe(7 * 4 * 128);
    expect(json.lora.bytes).toEqual({ float32: 28 * 512, float16: 28 * 256 });
    expect(json.lora.modules.every(({ module }) => !module.startsWith('language_model'))).toBe(true);
  });

  it('says why MACs are unknown instead of giving up', async () => {
    const node = { op: 'Mystery', domain: 'acme', name: 'm', inputs: ['x'], outputs: ['y'], attrs: {} };
    const json = lookAsJson(await lookAt(foreign([weight('w')], [node])));
    expect(json.macs).toBeNull();
    expect(json.graphs).toMatchObject({
      model: {
        macs: null,
        macs_unknown: 'the cost of acme.Mystery is not known',
        operators: { 'acme.Mystery': 1 },
      },
    });
  });
});
