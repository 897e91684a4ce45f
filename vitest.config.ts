import { configDefaults, defineConfig } from 'vitest/config';

/** What starts processes, needs a fresh one, or changes what a process has once (environment, memory, fonts, a GPU). */
export const ALONE: readonly string[] = [
  'test/{cli,fuzz,profile,run}/**/*.test.ts',
  'test/backends/{onnxruntime,onnxruntime-parts,*webgpu,tfjs-leaks,tfjs-spent}.test.ts',
  'test/data/crops.test.ts',
  'test/graph/{builder,interpret.operators}.test.ts',
  'test/report/{page,render}.test.ts',
  'test/training/{backends,memory}.test.ts',
];

/** What loads a runtime of models. */
export const RUNTIMES: readonly string[] = [
  'test/{backends,workloads}/**/*.test.ts',
  'test/graph/{infer.operators,interpret.*,onnx/fixtures}.test.ts',
  'test/pretrained/shipped.test.ts',
  'test/training/{autograd,checkpoint,half,lora-models,opening,recompute,run,trainer}.test.ts',
  'test/transform/{fold-if,moves,precision}.test.ts',
  'test/transform/{gradient/onnxruntime,gradient/ops-grad,optimiser/backends,optimiser/blocks}.test.ts',
  'test/verify/{attention,bad-input,bisect,fixtures,model,qwen2-vl,training}.test.ts',
  'test/weights/{artifact,checkpoint,checkpoint-identity,onnx-folder}.test.ts',
  'test/zoo/{classical,clip-resnet,contrastive,convnets,davit,florence2,phi3,qwen2-vl}.test.ts',
];

export default defineConfig({
  test: {
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The machines of our users have two cores, and onnxruntime wants one of them.
    maxWorkers: 2,
    pool: 'forks',
    projects: [
      { extends: true, test: { name: 'alone', include: [...ALONE] } },
      // Others share two processes: the graph code, the zoo and the runtimes are loaded once instead of a hundred times.
      {
        extends: true,
        test: {
          name: 'runtimes',
          include: [...RUNTIMES],
          exclude: [...configDefaults.exclude, ...ALONE],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE, ...RUNTIMES],
          isolate: false,
        },
      },
    ],
  },
});
