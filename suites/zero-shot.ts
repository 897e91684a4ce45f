import { defineSuite } from '../src/index.ts';
import { shipped } from '../src/pretrained/shipped.ts';
import { zeroShot } from '../src/workloads/zero-shot.ts';
import { model } from '../src/zoo/index.ts';

/** CLIP as a classifier that was never trained on its classes. */
export default defineSuite({
  name: 'zero-shot',
  overview: true,
  question:
    'What does classifying by text cost with CLIP: per image once the class embeddings are cached, and without that cache?',
  arms: [
    { name: 'clip-vit-b-32', model: model('clip-vit-b-32'), group: 'CLIP', tier: 'overview' },
    // Trained by this package: its accuracy is real, on pairs of shape and colour that it never saw too.
    { name: 'shapes-clip', model: shipped('shapes-clip'), group: 'CLIP', tier: 'smoke' },
    { name: 'clip-vit-b-16', model: model('clip-vit-b-16'), group: 'CLIP', tier: 'release' },
    { name: 'clip-vit-l-14', model: model('clip-vit-l-14'), group: 'CLIP', tier: 'release' },
    { name: 'clip-rn50', model: model('clip-rn50'), group: 'CLIP', tier: 'release' },
    { name: 'siglip-b-16', model: model('siglip-b-16'), group: 'SigLIP', tier: 'release' },
  ],
  uses: [
    {
      workload: zeroShot,
      params: {
        dataset: 'shapes',
        unseen: 'heldout',
        classes: ['circle', 'square', 'triangle', 'star', 'pentagon', 'hexagon', 'cross', 'ring'],
        templates: ['a photo of a {}.', 'a drawing of a {}.'],
        textBatch: 4,
      },
      batches: [
        { size: 1, tier: 'smoke' },
        { size: 16, tier: 'release' },
      ],
    },
  ],
  headline: ['cached', 'uncached', 'image_throughput', 'text_throughput', 'peak_rss', 'top1', 'unseen_top1'],
  contrasts: [
    ['clip-vit-b-32', 'clip-vit-b-16'],
    ['clip-vit-b-32', 'clip-vit-l-14'],
    ['clip-vit-b-32', 'clip-rn50'],
    ['clip-vit-b-32', 'siglip-b-16'],
  ],
});
