import { type Arm, defineSuite, type Tier } from '../src/index.ts';
import { type Shipped, shipped } from '../src/pretrained/shipped.ts';
import { classify } from '../src/workloads/classify.ts';
import { model } from '../src/zoo/index.ts';

const arm = (name: string, group: 'CNN' | 'transformer' | 'classical', tier: Tier): Arm => ({
  name,
  model: model(name),
  group,
  tier,
});

const trained = (name: Shipped, group: 'CNN' | 'transformer'): Arm => ({
  ...{ name, model: shipped(name), group, tier: 'overview' },
});

/** Convolutional networks against vision transformers on the same images, beside what came before both. */
export default defineSuite({
  name: 'classification',
  overview: true,
  question:
    'ResNet or ViT: which classifies an image sooner, which more images per second, and what does each cost in memory and compute?',
  arms: [
    arm('resnet-50', 'CNN', 'overview'),
    arm('vit-b-16', 'transformer', 'overview'),
    arm('resnet-18', 'CNN', 'smoke'),
    arm('deit-s-16', 'transformer', 'smoke'),
    arm('resnet-101', 'CNN', 'release'),
    arm('vit-l-16', 'transformer', 'release'),
    arm('alexnet', 'CNN', 'default'),
    arm('convnext-t', 'CNN', 'default'),
    arm('swin-t', 'transformer', 'default'),
    arm('davit-t', 'transformer', 'default'),
    arm('vgg-16', 'CNN', 'release'),
    arm('sovit-400m-14-384', 'transformer', 'release'),
    arm('hog-linear', 'classical', 'default'),
    arm('sift-bow', 'classical', 'default'),
    // Trained by this package on the very images, so that accuracy stands beside speed.
    trained('shapes-resnet', 'CNN'),
    trained('shapes-vit', 'transformer'),
  ],
  uses: [
    {
      workload: classify,
      params: { dataset: 'shapes', unseen: 'heldout' },
      batches: [{ size: 1, tier: 'smoke' }],
    },
    // Rates over batches are asked of the two families that the question names.
    {
      workload: classify,
      params: { dataset: 'shapes' },
      batches: [
        { size: 4, tier: 'default' },
        { size: 32, tier: 'release' },
      ],
      arms: ['resnet-18', 'resnet-50', 'resnet-101', 'deit-s-16', 'vit-b-16', 'vit-l-16'],
    },
  ],
  headline: ['latency', 'throughput', 'peak_rss', 'gflops', 'top1', 'unseen_top1'],
  // The first pair is the question; the second asks it again at DeiT's size, where both have about 12 and 22 M parameters.
  contrasts: [
    ['resnet-50', 'vit-b-16'],
    ['resnet-18', 'deit-s-16'],
    ['resnet-50', 'deit-s-16'],
    ['convnext-t', 'swin-t'],
    ['swin-t', 'davit-t'],
    ['shapes-resnet', 'shapes-vit'],
  ],
});
