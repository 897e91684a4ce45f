import { onnxruntime } from '../src/backends/onnxruntime/index.ts';

/** onnxruntime on one thread. Two test files run at once, on two cores: threads that wait for each other would only spin there. */
export const oneThread = () => onnxruntime('cpu', { session: { threads: 1 } });
