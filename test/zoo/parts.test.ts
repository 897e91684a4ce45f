import { describe, expect, it } from 'vitest';
import { PARTS, type Part, type Parts } from '../../src/core/model.ts';
import { model, models } from '../../src/zoo/index.ts';

/** The part of a parameter by the longest start that fits at a dot; null where none does. */
function partOf(name: string, parts: Parts): Part | null {
  const fits = PARTS.flatMap((part) =>
    (parts[part] ?? [])
      .filter((start) => start === '' || name === start || name.startsWith(`${start}.`))
      .map((start) => ({ part, length: start.length })),
  );
  return fits.sort((a, b) => b.length - a.length)[0]?.part ?? null;
}

async function countsOf(name: string): Promise<Record<string, number>> {
  const m = model(name);
  const graphs = await m.build(m.config);
  const weights = Object.values(graphs).flatMap((g) => g.params.filter((p) => p.role === 'weight'));
  const counts: Record<string, number> = {};
  for (const p of new Map(weights.map((w) => [w.name, w])).values()) {
    const part = partOf(p.name, m.parts ?? {}) ?? `none: ${p.name}`;
    counts[part] = (counts[part] ?? 0) + p.shape.reduce((a, b) => a * b, 1);
  }
  return counts;
}

describe('the parts of a model', () => {
  const withParts = models().filter((m) => m.parts);
  const tiny = withParts.filter((m) => m.name.endsWith('-tiny'));

  it.each(tiny.map((m) => m.name))('of %s hold every weight, and none is empty', async (name) => {
    expect(Object.keys(await countsOf(name)).sort()).toEqual(Object.keys(model(name).parts!).sort());
  });

  it('are the same in a family, and every family has a small member', () => {
    for (const m of withParts) {
      expect(tiny.find((t) => t.family === m.family)?.parts, m.name).toEqual(m.parts);
    }
  });

  it('of Qwen2-VL 2B: the language model is Qwen2 1.5B', async () => {
    const counts = await countsOf('qwen2-vl-2b');
    expect(counts.text).toBe(1_543_714_304);
    // ln_q, then 5120 → 5120 → 1536.
    expect(counts['cross-modal']).toBe(2 * 1280 + 5120 * 5120 + 5120 + 5120 * 1536 + 1536);
  });

  it('of LLaVA 13B: the language model is Vicuna 13B with 64 more tokens', async () => {
    const counts = await countsOf('llava-1.5-13b');
    expect(counts.text).toBe(13_015_864_320 + 2 * 64 * 5120);
    expect(counts['cross-modal']).toBe(1024 * 5120 + 5120 + 5120 * 5120 + 5120);
    expect(Object.values(counts).reduce((a, b) => a + b, 0)).toBe(13_351_494_656);
  });
});
