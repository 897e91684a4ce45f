import { describe, expect, it } from 'vitest';
import { partOf } from '../../src/core/parts.ts';

describe('parts of a model', () => {
  const find = partOf({
    vision: ['vision_tower', 'towers.*.image'],
    text: ['', 'language_model'],
    'cross-modal': ['language_model.layers.*.encoder_attn', 'vision_tower.projection'],
  });

  it.each([
    ['vision_tower.layers.0.weight', 'vision'],
    ['vision_tower.projection.weight', 'cross-modal'],
    ['vision_tower.projection_norm.weight', 'vision'],
    ['vision_towers.weight', 'text'],
    ['towers.7.image.weight', 'vision'],
    ['towers.7.8.image.weight', 'text'],
    ['language_model.layers.11.encoder_attn.q.weight', 'cross-modal'],
    ['language_model.layers.11.self_attn.q.weight', 'text'],
    ['language_model.layers.encoder_attn', 'text'],
    ['logit_scale', 'text'],
  ])('%s belongs to %s', (name, part) => {
    expect(find(name)).toBe(part);
  });

  it('gives no part where nothing fits', () => {
    expect(partOf(undefined)('a.b')).toBeUndefined();
    expect(partOf({ vision: ['a.b'] })('a')).toBeUndefined();
    expect(partOf({ vision: ['a.b'] })('a.b')).toBe('vision');
  });

  it('prefers a literal segment to a star, then the order of the parts', () => {
    const tie = partOf({ text: ['a.*', 'c'], 'cross-modal': ['a.b'], vision: ['c'] });
    expect(['a.b.w', 'a.x.w', 'c.w'].map(tie)).toEqual(['cross-modal', 'text', 'vision']);
  });
});
