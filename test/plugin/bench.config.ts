import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { defineConfig } from '../../src/index.ts';
import { plugin } from './backend.ts';
import { flats } from './dataset.ts';
import { lines } from './reporter.ts';
import { widths } from './suite.ts';

const quick = { memoryRounds: 1, minTimeMs: 1, minRepetitions: 2, warmupRepetitions: 1, timeoutMs: 60_000 };
/** The tests of the gate make one backend slower between two runs. */
const sleepMs = Number(process.env.VERSUS_TEST_SLEEP_MS ?? '5');

export default defineConfig({
  suites: [widths],
  backends: [
    onnxruntime('cpu', { session: { threads: 1 } }),
    plugin('plugin', { sleepMs }),
    plugin('liar', { add: 1 }),
  ],
  datasets: [flats],
  reporters: [lines],
  profiles: {
    smoke: { ...quick, tier: 'smoke', rounds: 2 },
    six: { ...quick, tier: 'smoke', rounds: 6, memoryRounds: 0 },
  },
  gate: { tolerance: { default: 0.2 } },
});
