import { defineSuite } from '../src/index.ts';
import { shipped } from '../src/pretrained/shipped.ts';
import { generate } from '../src/workloads/generate.ts';
import { imagePrompt } from '../src/workloads/image-prompt.ts';
import { model } from '../src/zoo/index.ts';

/** A vision-language model against the language model inside it, on the same text; and its image prompt by phases. */
export default defineSuite({
  name: 'text-tasks',
  overview: true,
  question:
    'Does the vision part of a VLM cost anything when the prompt is only text: in time to first token, tokens per second and memory?',
  arms: [
    { name: 'qwen2-0.1b', model: model('qwen2-0.1b'), group: 'LLM', tier: 'overview' },
    {
      name: 'llava-qwen2-0.1b',
      model: model('llava-qwen2-0.1b'),
      group: 'VLM',
      tier: 'overview',
      mainBackendsOnly: true,
    },
    // Trained by this package: what a language model forgets where it learns to see shows in their answers.
    { name: 'shapes-llm', model: shipped('shapes-llm'), group: 'LLM', tier: 'smoke' },
    {
      ...{ name: 'shapes-vlm', model: shipped('shapes-vlm'), group: 'VLM', tier: 'smoke' },
      mainBackendsOnly: true,
    },
    { name: 'qwen2-0.5b', model: model('qwen2-0.5b'), group: 'LLM', tier: 'release' },
    { name: 'llava-qwen2-0.5b', model: model('llava-qwen2-0.5b'), group: 'VLM', tier: 'release' },
  ],
  uses: [
    {
      workload: generate,
      params: { promptTokens: 64, newTokens: 16, dataset: 'stories', samples: 100 },
      batches: [{ size: 1 }],
    },
    {
      workload: imagePrompt,
      params: { promptTokens: 32, newTokens: 16, dataset: 'shapes' },
      batches: [{ size: 1, tier: 'default' }],
      arms: ['llava-qwen2-0.1b', 'llava-qwen2-0.5b'],
    },
  ],
  headline: ['ttft', 'tpot', 'prefill_rate', 'decode_rate', 'peak_rss', 'answers', 'perplexity'],
  contrasts: [
    ['qwen2-0.1b', 'llava-qwen2-0.1b'],
    ['shapes-llm', 'shapes-vlm'],
    ['qwen2-0.5b', 'llava-qwen2-0.5b'],
  ],
});
