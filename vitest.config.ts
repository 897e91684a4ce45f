import { configDefaults, defineConfig } from 'vitest/config';

/** What loads a runtime of models, starts processes, or changes what a process has once (environment, clock, fonts). */
export const ALONE: readonly string[] = [
  'test/{backends,cli,fuzz,profile,run,workloads}/**/*.test.ts',
  'test/data/crops.test.ts',
  'test/graph/{builder,infer.operators,interpret.*,onnx/fixtures}.test.ts',
  'test/report/{page,render}.test.ts',
  'test/pretrained/shipped.test.ts',
  'test/training/{autograd,backends,checkpoint,half,lora-models,memory,recompute,run,trainer}.test.ts',
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
      // The rest computes: these files share two processes, and load the graph code and the zoo once instead of eighty times.
      {
        extends: true,
        test: {
          name: 'shared',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
          isolate: false,
        },
      },
    ],
  },
});
