import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelDef } from '../../src/core/model.ts';
import { float32, int64, type Tensor, type Tensors, toNumbers } from '../../src/core/tensor.ts';
import { compareOutputs } from '../../src/stats/parity.ts';
import { modelIn } from '../../src/verify/folder.ts';
import { qwen2VlOutputs } from '../../src/verify/qwen2-vl.ts';
import { type Recorded, recordedFrom, recordingIn } from '../../src/verify/recorded.ts';
import { Sessions } from '../../src/verify/sessions.ts';
import { prepareArtifacts, readSafetensors, safetensors, writeSafetensors } from '../../src/weights/index.ts';
import type { Qwen2VlConfig } from '../../src/zoo/qwen2-vl.ts';
import { oneThread } from '../one-thread.ts';

const FOLDER = join(import.meta.dirname, '..', 'fixtures', 'hf-qwen2vl');
const IMAGE = 123;
const [START, END] = [120, 121];

let cacheDir: string;
let recorded: Recorded;
let model: ModelDef<Qwen2VlConfig>;
let sessions: Sessions;

async function opened(of: ModelDef): Promise<Sessions> {
  const artifacts = await prepareArtifacts(of, { cacheDir, maxBytes: 1e9, precision: 'fp32' });
  return new Sessions(oneThread(), artifacts, { precision: 'fp32' });
}

beforeAll(async () => {
  cacheDir = mkdtempSync(join(tmpdir(), 'versus-qwen2vl-'));
  recorded = recordedFrom(await recordingIn(FOLDER), FOLDER);
  model = (await modelIn(FOLDER, recorded)) as ModelDef<Qwen2VlConfig>;
  sessions = await opened(model as ModelDef);
});
afterAll(async () => {
  await sessions.close();
  rmSync(cacheDir, { recursive: true, force: true });
});

const outputs = (inputs: Tensors, expected: Tensors = {}) =>
  qwen2VlOutputs(sessions, { inputs, expected }, model.config);
const agrees = (a: Tensor, b: Tensor) => compareOutputs({ a }, { a: b }, 1e-5)[0]?.agrees;
const small = (patches: number) =>
  float32(
    [patches, 96],
    Array.from({ length: patches * 96 }, (_, i) => Math.cos(i * 0.3)),
  );
const stacked = (a: Tensor, b: Tensor) =>
  float32([a.shape[0]! + b.shape[0]!, 96], [...toNumbers(a), ...toNumbers(b)]);
const shown = (count: number) => [START, ...new Array<number>(count).fill(IMAGE), END];

describe('several images in one prompt', () => {
  it('give each the features that it has alone, and positions behind one another', async () => {
    const own = recorded.inputs.pixel_values!;
    const other = small(8);
    const ids = [5, ...shown(6), 6, 7, ...shown(2), 8];
    const together = await outputs({
      input_ids: int64([1, ids.length], ids),
      pixel_values: stacked(own, other),
      image_grid_thw: int64([2, 3], [1, 4, 6, 1, 2, 4]),
    });
    const alone = await outputs({ pixel_values: other, image_grid_thw: int64([1, 3], [1, 2, 4]) });
    const first = recorded.expected.image_embeds!;
    const expected = float32([8, 64], [...toNumbers(first), ...toNumbers(alone.image_embeds!)]);
    expect(agrees(together.image_embeds!, expected)).toBe(true);
    const places = toNumbers(together.position_ids!);
    const axis = (i: number) => [...places.subarray(i * ids.length, (i + 1) * ids.length)].join(' ');
    expect(axis(0)).toBe('0 1 2 2 2 2 2 2 5 6 7 8 9 9 11 12');
    expect(axis(1)).toBe('0 1 2 2 2 3 3 3 5 6 7 8 9 9 11 12');
    expect(axis(2)).toBe('0 1 2 3 4 2 3 4 5 6 7 8 9 10 11 12');
    expect([...toNumbers(together.rope_deltas!)]).toEqual([-3]);
  });

  it('see each other only through the language model: frames and images are apart in the tower', async () => {
    const frames = await outputs({
      pixel_values: stacked(small(8), small(8)),
      image_grid_thw: int64([1, 3], [2, 2, 4]),
    });
    const values = toNumbers(frames.image_embeds!);
    expect(agrees(float32([2, 64], values.slice(0, 128)), float32([2, 64], values.slice(128)))).toBe(true);
  });

  it('give the same logits behind padding', async () => {
    const plain = { ...recorded.inputs };
    const ids = [...toNumbers(plain.input_ids!)];
    const padded = await outputs({
      ...plain,
      input_ids: int64([1, ids.length + 3], [0, 0, 0, ...ids]),
      attention_mask: int64([1, ids.length + 3], [0, 0, 0, ...ids.map(() => 1)]),
    });
    const tail = toNumbers(padded.logits!).slice(3 * 128);
    expect(agrees(float32([1, ids.length, 128], tail), recorded.expected.logits!)).toBe(true);
    const [delta] = toNumbers(recorded.expected.rope_deltas!);
    expect([...toNumbers(padded.rope_deltas!)]).toEqual([delta! - 3]);
  });

  it('decode two prompts at once as each alone', async () => {
    const want = { greedy_new_ids: int64([1, 3], [0, 0, 0]) };
    const prompts = [
      { ids: [5, ...shown(6), 9], pixels: recorded.inputs.pixel_values!, grid: [1, 4, 6] },
      { ids: [7, 3, 2, 1, 4, ...shown(2), 9], pixels: small(8), grid: [1, 2, 4] },
    ];
    const run = (of: typeof prompts, pixel_values: Tensor) => {
      const inputs = {
        input_ids: int64(
          [of.length, 10],
          of.flatMap((p) => p.ids),
        ),
        image_grid_thw: int64(
          [of.length, 3],
          of.flatMap((p) => p.grid),
        ),
      };
      return outputs({ ...inputs, pixel_values }, want);
    };
    const both = await run(prompts, stacked(prompts[0]!.pixels, prompts[1]!.pixels));
    expect([...toNumbers(both.rope_deltas!)]).toEqual([-3, 0]);
    for (const [i, prompt] of prompts.entries()) {
      const alone = await run([prompt], prompt.pixels);
      const row = toNumbers(both.decode_logits!).slice(i * 3 * 128, (i + 1) * 3 * 128);
      expect(agrees(float32([1, 3, 128], row), alone.decode_logits!)).toBe(true);
    }
  });
});

describe('what does not fit together', () => {
  const base = () => recorded.inputs;
  it.each([
    [{ image_grid_thw: int64([1, 3], [1, 4, 4]) }, /24 patches, the grids 16/],
    [{ image_grid_thw: int64([1, 3], [1, 3, 8]) }, /a grid of 1 × 3 × 8/],
    [{ image_grid_thw: int64([1, 3], [0, 4, 6]) }, /a grid of 0 × 4 × 6/],
    [{ input_ids: int64([1, 4], [1, IMAGE, IMAGE, 2]) }, /1 × 2 × 3 tokens, the prompt 2/],
    [{ input_ids: int64([1, 2], [1, 2]) }, /0 of 1 images/],
  ])('is refused', async (change, message) => {
    await expect(outputs({ ...base(), ...(change as Tensors) })).rejects.toThrow(message);
  });

  it('as are image tokens without images', async () => {
    await expect(outputs({ input_ids: base().input_ids! })).rejects.toThrow(/more than 0 images/);
  });
});

it('loads a checkpoint in the layout of transformers since 4.52', async () => {
  const tensors = await readSafetensors(join(FOLDER, 'weights.safetensors'));
  const moved = Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [
      name.startsWith('visual.') ? `model.${name}` : name.replace(/^model\./, 'model.language_model.'),
      t,
    ]),
  );
  const file = join(cacheDir, 'moved.safetensors');
  await writeSafetensors(file, moved);
  const other = await opened({ ...(model as ModelDef), weights: safetensors(file) });
  const { logits } = await qwen2VlOutputs(other, { inputs: recorded.inputs, expected: {} }, model.config);
  await other.close();
  expect(agrees(logits!, recorded.expected.logits!)).toBe(true);
});
