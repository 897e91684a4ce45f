import type { Backend } from '../../core/backend.ts';
import { openAutogradSession } from './autograd/index.ts';
import type { EngineName } from './engine.ts';
import { probe } from './probe.ts';
import { openResidentSession, openSession } from './session.ts';

export type { EngineName } from './engine.ts';

/**
 * TensorFlow.js on one engine, named `tfjs-<engine>`: `wasm` (SIMD, one thread), `webgpu` (Dawn), `tensorflow` (the C library, if
 * tfjs-node or tfjs-node-gpu is installed) or `cpu` (plain JavaScript, for correctness). Nothing loads before `probe` or `open`.
 */
export function tfjs(engine: EngineName): Backend {
  return {
    name: `tfjs-${engine}`,
    ...(engine === 'cpu' ? { oracle: true } : {}),
    secondary: true,
    probe: () => probe(engine),
    open: (artifact, options) => openSession(engine, artifact, options),
    openResident: (artifact, options, keep) => openResidentSession(engine, artifact, options, keep),
    openAutograd: (model, given, options) => openAutogradSession(engine, model, given, options),
  };
}
