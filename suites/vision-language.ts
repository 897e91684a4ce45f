import { type Arm, defineSuite, type Tier } from '../src/index.ts';
import { shipped } from '../src/pretrained/shipped.ts';
import { imagePrompt } from '../src/workloads/image-prompt.ts';
import { model } from '../src/zoo/index.ts';

const arm = (name: string, group: string, tier: Tier): Arm => ({ name, model: model(name), group, tier });
const onMain = (name: string, group: string, tier: Tier): Arm => ({
  ...arm(name, group, tier),
  mainBackendsOnly: true,
});

/**
 * The architectures of vision-language models on the same image and question, by phases. The tiny ones have each
 * architecture's every part at a size that runs anywhere; what they cost says nothing of the published models, which the
 * release tier has.
 */
export default defineSuite({
  name: 'vision-language',
  overview: true,
  question:
    'Where does a vision-language model spend its time on an image: preprocessing, vision tower, prompt, or generated tokens?',
  arms: [
    arm('llava-tiny', 'LLaVA', 'default'),
    onMain('florence-2-tiny', 'Florence-2', 'default'),
    onMain('phi-3.5-vision-tiny', 'Phi-3.5-vision', 'default'),
    onMain('qwen2-vl-tiny', 'Qwen2-VL', 'default'),
    // Trained by this package: it answers, and how often it is right stands beside what that takes.
    {
      ...{ name: 'shapes-vlm', model: shipped('shapes-vlm'), group: 'LLaVA', tier: 'default' },
      mainBackendsOnly: true,
    },
    arm('florence-2-base', 'Florence-2', 'release'),
    arm('qwen2-vl-2b', 'Qwen2-VL', 'release'),
  ],
  uses: [
    {
      workload: imagePrompt,
      params: { promptTokens: 16, newTokens: 8, dataset: 'shapes', unseen: 'heldout' },
      batches: [{ size: 1, tier: 'default' }],
    },
  ],
  headline: ['ttft', 'tpot', 'vision', 'prefill', 'peak_rss', 'answers', 'unseen_answers'],
});
