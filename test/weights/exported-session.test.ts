import { describe, expect, it } from 'vitest';
import type { Session } from '../../src/core/backend.ts';
import type { ValueInfo } from '../../src/core/graph.ts';
import { float32, int64, type Tensors } from '../../src/core/tensor.ts';
import { exported } from '../../src/weights/exported-session.ts';

const value = (
  name: string,
  shape: ValueInfo['shape'],
  dtype: ValueInfo['dtype'] = 'float32',
): ValueInfo => ({
  ...{ name, dtype, shape },
});

/** A session that records what it is fed and answers with a marked tensor for every output that is fetched. */
function recording(inputs: ValueInfo[], outputs: ValueInfo[]) {
  const seen: { feeds: Tensors; fetch: readonly string[] | undefined }[] = [];
  const session: Session = {
    ...{ inputs, outputs, options: {}, placement: async () => null, close: async () => {} },
    run: async (feeds, fetch) => {
      seen.push({ feeds, fetch });
      const wanted = fetch ?? outputs.map((o) => o.name);
      return Object.fromEntries(wanted.map((name) => [name, float32([1], [name.length])]));
    },
  };
  return { session, seen };
}

describe('an exported graph under our names', () => {
  it('tells a merged decoder whether there is a cache, and an eager one to keep the last logits', async () => {
    const past = value('past_key_values.0.key', ['b', 2, 'past', 4]);
    const { session, seen } = recording(
      [
        value('input_ids', ['b', 's'], 'int64'),
        past,
        value('use_cache_branch', [1], 'bool'),
        value('num_logits_to_keep', [], 'int64'),
      ],
      [value('logits', ['b', 's', 8]), value('present.0.key', ['b', 2, 'total', 4])],
    );
    const ours = exported(session, 'decoder');
    expect(ours.inputs.map((i) => i.name)).toEqual(['input_ids', 'past_key_values.0.key']);
    for (const length of [0, 3]) {
      const cache = float32([1, 2, length, 4], new Float32Array(8 * length));
      const outputs = await ours.run({ input_ids: int64([1, 1], [5]), 'past_key_values.0.key': cache });
      expect(Object.keys(outputs)).toEqual(['logits', 'present.0.key']);
      const { use_cache_branch: branch, num_logits_to_keep: keep } = seen.at(-1)!.feeds;
      expect(branch).toEqual({ dtype: 'bool', shape: [1], data: Uint8Array.of(length > 0 ? 1 : 0) });
      expect(keep).toEqual({ dtype: 'int64', shape: [], data: BigInt64Array.of(1n) });
    }
  });

  it('gives Qwen2-VL’s tower all patches in a row, and the grid that their places make', async () => {
    const { session, seen } = recording(
      [value('pixel_values', ['n', 6]), value('image_grid_thw', ['images', 3], 'int64')],
      [value('image_features', ['tokens', 4])],
    );
    const ours = exported(session, 'vision');
    expect(ours.inputs.map((i) => i.name)).toEqual(['pixel_values', 'patch_positions']);
    const places = int64([6, 2], [0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 1, 2]);
    const pixels = float32([2, 6, 6], new Float32Array(72));
    await ours.run({ pixel_values: pixels, patch_positions: places });
    const { feeds } = seen[0]!;
    expect(Object.keys(feeds).sort()).toEqual(['image_grid_thw', 'pixel_values']);
    expect(feeds.pixel_values!.shape).toEqual([12, 6]);
    expect(feeds.image_grid_thw).toMatchObject({
      shape: [2, 3],
      data: BigInt64Array.of(1n, 2n, 3n, 1n, 2n, 3n),
    });
    await expect(ours.run({ pixel_values: pixels })).rejects.toThrow(
      /nothing feeds the input image_grid_thw/,
    );
  });

  it.each([
    ['vision', ['last_hidden_state', 'image_embeds'], 'image_embeds', 'image_embeds'],
    ['vision', ['last_hidden_state', 'pooler_output'], 'pooler_output', 'image_embeds'],
    ['text', ['text_embeds', 'last_hidden_state'], 'text_embeds', 'text_embeds'],
  ])('hands on what an encoder of %s with outputs %j is for', async (graph, outputs, theirs, ours) => {
    const { session, seen } = recording(
      [value('x', ['b', 3])],
      outputs.map((name) => value(name, ['b', 4])),
    );
    const view = exported(session, graph);
    expect(view.outputs.map((o) => o.name)).toEqual([ours]);
    expect(await view.run({ x: float32([1, 3], [1, 2, 3]) })).toEqual({
      [ours]: float32([1], [theirs.length]),
    });
    expect(seen[0]!.fetch).toEqual([theirs]);
  });

  it('leaves alone what it does not know, and names what nothing feeds', () => {
    const { session } = recording([value('x', ['b', 3])], [value('a', ['b']), value('b', ['b'])]);
    expect(exported(session, 'vision')).toBe(session);
    expect(exported(session, 'model')).toBe(session);
    const phi = recording(
      [value('input_ids', ['b', 's'], 'int64'), value('image_features', ['n', 4])],
      [value('inputs_embeds', ['b', 's', 4])],
    );
    expect(() => exported(phi.session, 'embed')).toThrow(/nothing feeds the input image_features/);
  });
});
