import type { Metric } from '../../src/core/workload.ts';
import type { SampleArm, SampleSuite } from './sample.ts';

const latency: Metric = {
  name: 'latency',
  unit: 'ms',
  better: 'lower',
  assume: 'nothing',
  of: 'duration',
};
const images: Metric = {
  name: 'throughput',
  unit: 'images/s',
  better: 'higher',
  assume: 'nothing',
  of: 'rate',
};
const gflops: Metric = { name: 'gflops', unit: 'GFLOP/s', better: 'higher', assume: 'nothing', of: 'flops' };
const top1: Metric = { name: 'top1', unit: 'share', better: 'higher', assume: 'exact', of: 'score' };
const phase = (name: string): Metric => ({
  name,
  unit: 'ms',
  better: 'lower',
  assume: 'nothing',
  of: 'duration',
  phases: [name],
});

/** Names as a hostile model file or dataset could carry them. */
export const HOSTILE = [
  "=cmd|' /C calc'!A0",
  '<img src=x onerror=alert(1)>',
  'a|b`c`\n# d',
  '</script><script>alert(2)</script>',
];

const arm = (
  name: string,
  group: string | null,
  phases: Record<string, number>,
  parameters: number,
  macs: number,
  quality?: number,
): SampleArm => ({
  name,
  group,
  phases,
  parameters,
  macs,
  ...(quality === undefined ? {} : { top1: quality }),
});

export function sampleSuites(): SampleSuite[] {
  return [classification(), zeroShot(), textTasks(), alone(), racing(), hostile()];
}

function classification(): SampleSuite {
  const backends = ['onnxruntime-cpu', 'onnxruntime-webgpu'];
  const software = {
    status: 'correctness-only' as const,
    reason: 'llvmpipe is a software adapter: its speed says nothing about a GPU',
  };
  return {
    info: {
      name: 'classification',
      question: 'Is a convolutional network or a transformer the better image classifier on this machine?',
      headline: ['latency', 'throughput', 'top1', 'peak_rss'],
      contrasts: [
        ['resnet-50', 'vit-b-16'],
        ['resnet-18', 'deit-s-16'],
      ],
      metrics: { classify: [latency, images, gflops, top1] },
    },
    workload: 'classify',
    batches: [1, 4, 8],
    backends,
    arms: [
      arm('resnet-50', 'CNN', { infer: 56.2 }, 25_557_032, 4.089e9, 0.914),
      arm('vit-b-16', 'transformer', { infer: 171 }, 86_567_656, 17.56e9, 0.931),
      arm('resnet-18', 'CNN', { infer: 23.9 }, 11_689_512, 1.814e9, 0.887),
      arm('deit-s-16', 'transformer', { infer: 48.8 }, 22_050_664, 4.6e9, 0.902),
    ],
    trouble: {
      'resnet-50 onnxruntime-webgpu': software,
      'resnet-18 onnxruntime-webgpu': software,
      'deit-s-16 onnxruntime-webgpu': software,
      'vit-b-16 onnxruntime-webgpu': {
        status: 'invalid',
        reason: 'logits differ from onnxruntime-cpu by 0.31 (tolerance 0.001)',
      },
    },
  };
}

function zeroShot(): SampleSuite {
  return {
    info: {
      name: 'zero-shot',
      question: 'What does zero-shot classification with CLIP cost, and how much of it can be cached?',
      headline: ['latency', 'difference_rss'],
      contrasts: [['cached prompts', 'uncached prompts']],
      metrics: { 'zero-shot': [latency, phase('vision'), phase('text'), phase('similarity')] },
    },
    workload: 'zero-shot',
    batches: [1],
    backends: ['onnxruntime-cpu'],
    arms: [
      arm('cached prompts', null, { vision: 38.1, similarity: 0.08 }, 151_277_313, 4.37e9),
      arm('uncached prompts', null, { vision: 38.3, text: 412, similarity: 0.08 }, 151_277_313, 51.2e9),
    ],
    trouble: {},
  };
}

/** One arm, two ways of asking: nothing to compare between arms. */
function alone(): SampleSuite {
  return {
    info: {
      name: 'caching',
      question: 'How much does caching the class embeddings save?',
      headline: ['cached', 'uncached'],
      contrasts: [],
      metrics: {
        'zero-shot': [
          { ...latency, name: 'cached', phases: ['vision', 'similarity'] },
          { ...latency, name: 'uncached', phases: ['vision', 'similarity', 'text'] },
        ],
      },
    },
    workload: 'zero-shot',
    batches: [1],
    backends: ['onnxruntime-cpu'],
    arms: [arm('clip-vit-b-32', 'CLIP', { vision: 38.3, text: 412, similarity: 0.08 }, 151_277_313, 51.2e9)],
    trouble: {},
  };
}

/** Models on three backends: valid, valid and slower, and in every way not ranked. */
function racing(): SampleSuite {
  return {
    info: {
      name: 'backends',
      question: 'Which backend is fastest?',
      headline: ['latency', 'throughput'],
      contrasts: [['resnet-18', 'deit-s-16']],
      metrics: { classify: [latency, images] },
    },
    workload: 'classify',
    batches: [1],
    backends: ['onnxruntime-cpu', 'tfjs-wasm', 'onnxruntime-webgpu'],
    arms: [
      arm('resnet-18', 'CNN', { infer: 23.9 }, 11_689_512, 1.814e9),
      arm('deit-s-16', 'transformer', { infer: 48.8 }, 22_050_664, 4.6e9),
      arm('swin-t', 'transformer', { infer: 55.1 }, 28_288_354, 4.5e9),
    ],
    trouble: {
      'resnet-18 onnxruntime-webgpu': {
        status: 'correctness-only',
        reason: 'llvmpipe is a software adapter: its speed says nothing about a GPU',
      },
      'deit-s-16 onnxruntime-webgpu': {
        status: 'invalid',
        reason: 'outputs differ from onnxruntime-cpu: logits, relative 0.31 where 0.001 is allowed',
      },
      'swin-t onnxruntime-webgpu': {
        status: 'unsupported',
        reason: 'GridSample is not supported: node "/layers/0/roll", opset 20',
      },
      'swin-t tfjs-wasm': {
        status: 'invalid',
        reason: '12% of the nodes did not run on tfjs-wasm: Gather',
      },
    },
  };
}

function textTasks(): SampleSuite {
  return {
    info: {
      name: 'text-tasks',
      question: 'What does a vision-language model cost on text alone, against its own language model?',
      headline: ['ttft', 'decode_throughput', 'peak_rss'],
      contrasts: [['qwen2-0.5b', 'llava-qwen2-0.5b']],
      metrics: {
        generate: [
          { ...latency, name: 'ttft', phases: ['preprocess', 'vision', 'prefill'] },
          { ...latency, name: 'tpot', of: 'step', phases: ['decode'] },
          { ...images, name: 'decode_throughput', unit: 'tokens/s', phases: ['decode'] },
          ...['preprocess', 'vision', 'prefill'].map(phase),
        ],
      },
    },
    workload: 'generate',
    batches: [1],
    backends: ['onnxruntime-cpu'],
    arms: [
      arm('qwen2-0.5b', 'LLM', { prefill: 211, decode: 890 }, 494_032_768, 31e9),
      arm('llava-qwen2-0.5b', 'VLM', { prefill: 212, decode: 893 }, 798_000_000, 31e9),
      arm(
        'llava-qwen2-0.5b + image',
        'VLM',
        { preprocess: 4, vision: 602, prefill: 960, decode: 1010 },
        798_000_000,
        180e9,
      ),
      arm('phi-3-vision', 'VLM', { prefill: 1 }, 4_100_000_000, 260e9),
    ],
    trouble: {
      'phi-3-vision onnxruntime-cpu': {
        status: 'oom',
        reason: 'killed: resident memory passed 7.6 GiB of 8 GiB',
      },
    },
  };
}

function hostile(): SampleSuite {
  return {
    info: {
      name: HOSTILE[1]!,
      question: `Does a name like ${HOSTILE[3]} do harm | anywhere?`,
      headline: ['latency'],
      contrasts: [[HOSTILE[0]!, HOSTILE[2]!]],
      metrics: { [HOSTILE[2]!]: [latency] },
    },
    workload: HOSTILE[2]!,
    batches: [1],
    backends: ['onnxruntime-cpu'],
    arms: HOSTILE.map((name, i) => arm(name, null, { infer: 10 + i / 50 }, 1000 * (i + 1), 1e6)),
    trouble: {
      [`${HOSTILE[1]} onnxruntime-cpu`]: { status: 'crashed', reason: 'SIGSEGV in <b>libfoo</b> | `bar`' },
      [`${HOSTILE[3]} onnxruntime-cpu`]: {
        status: 'unsupported',
        reason: '@Einsum is not supported: node "<svg onload=alert(3)>"',
      },
    },
  };
}

/** Two contenders at three sizes on two backends, one of them at fewer where the other failed, and one at two alone. */
export function growing(): SampleSuite {
  const cost: Record<string, (pixels: number) => number> = {
    vit: (pixels) => (pixels / 8000) * (1 + pixels / 2e5),
    swin: (pixels) => pixels / 7000,
    'mlp | mixer': (pixels) => 1 + pixels / 9000,
  };
  const sizes = (name: string) => (name.startsWith('mlp') ? [128, 256] : [128, 256, 512]);
  const lines = Object.keys(cost).map((name) => ({
    name,
    points: sizes(name).map((size) => ({ arm: `${name}@${size}`, size })),
    ...(name === 'swin' ? { note: 'windows fill its grids' } : {}),
  }));
  return {
    info: {
      name: 'resolution',
      question: 'How do time and memory grow with the image?',
      headline: ['latency', 'difference_rss', 'macs'],
      contrasts: [512, 256, 128].map((size) => [`vit@${size}`, `swin@${size}`] as const),
      metrics: { classify: [latency] },
      growth: { size: 'image edge', unit: 'px', of: 'pixels', dimensions: 2, lines },
    },
    workload: 'classify',
    batches: [1],
    backends: ['onnxruntime-cpu', 'tfjs-wasm'],
    arms: lines.flatMap(({ name, points }) =>
      points.map((point) => {
        const pixels = point.size ** 2;
        const ms = cost[name]!(pixels);
        return arm(point.arm, name, { infer: ms }, 1e6 + 40 * pixels, Math.round(1e8 * ms));
      }),
    ),
    trouble: { 'swin@512 tfjs-wasm': { status: 'oom', reason: 'killed: resident memory passed 7.6 GiB' } },
  };
}

/** A run as large as 100,000 records make: thousands of cells in a few suites. */
export function largeSuites(arms = 300): SampleSuite[] {
  return [classification(), zeroShot()].map((suite) => ({
    ...suite,
    info: {
      ...suite.info,
      contrasts: [
        ['arm-0', 'arm-1'],
        ['arm-0', 'arm-2'],
      ],
    },
    arms: Array.from({ length: arms }, (_, i) =>
      arm(
        `arm-${i}`,
        i % 2 ? 'CNN' : 'transformer',
        { infer: 10 + i, vision: 5 },
        1e6 * (i + 1),
        1e9 * (i + 1),
        0.5 + i / 1000,
      ),
    ),
    trouble: {},
  }));
}
