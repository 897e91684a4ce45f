import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The machines of our users have two cores, and onnxruntime wants one of them.
    maxWorkers: 2,
    pool: 'forks',
  },
});
