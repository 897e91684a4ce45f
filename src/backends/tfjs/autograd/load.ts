import { createRequire } from 'node:module';
import { VersusError } from '../../../core/errors.ts';
import { type Engine, type EngineName, loadEngine } from '../engine.ts';

/**
 * An engine with tfjs's gradients registered: tfjs-core's bundle for Node has none, those come with the union package.
 * @throws VersusError `infrastructure` when that is not installed, or as `loadEngine`
 */
export async function loadAutograd(name: EngineName): Promise<Engine> {
  const engine = await loadEngine(name);
  try {
    createRequire(import.meta.url)('@tensorflow/tfjs');
  } catch (cause) {
    throw new VersusError('infrastructure', 'TensorFlow.js has no gradients without its union package', {
      next: 'npm install @tensorflow/tfjs@4.22.0',
      cause,
    });
  }
  return engine;
}
