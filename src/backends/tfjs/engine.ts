import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import type * as Wasm from '@tensorflow/tfjs-backend-wasm';
import type * as Tf from '@tensorflow/tfjs-core';
import type { Device } from '../../core/backend.ts';
import { reasonOf, VersusError } from '../../core/errors.ts';
import { cpuDevice } from '../cpu-device.ts';
import { withoutFaults } from './faults.ts';
import { adapterDevice, openGpu } from './gpu.ts';
import { loadNative } from './native.ts';
import { registerWasmOver } from './wasm-over.ts';
import { registerWasmSlice } from './wasm-slice.ts';

/** tfjs's bundles are CommonJS: to import them as modules, Node first reads all of their megabytes for the names they export. */
const require = createRequire(import.meta.url);

/** What executes tfjs's kernels. */
export const ENGINES = ['wasm', 'webgpu', 'tensorflow', 'cpu'] as const;
export type EngineName = (typeof ENGINES)[number];

/** An engine of tfjs that is ready: its kernels run between `use` and the next engine's `use`. */
export interface Engine {
  readonly name: EngineName;
  readonly tf: typeof Tf;
  readonly version: string;
  readonly device: Device;
  /** What is put there is copied at once, so that its memory can be used again. */
  readonly copies: boolean;
  /** Resolves when everything that was asked of the engine is computed. */
  done(): Promise<void>;
}

const loaded = new Map<EngineName, Promise<Engine>>();

/**
 * Loads tfjs and one engine, once per process.
 * @throws VersusError `infrastructure` when the engine cannot run here, with the way to get it where there is one
 */
export function loadEngine(name: EngineName): Promise<Engine> {
  let engine = loaded.get(name);
  if (!engine) {
    engine = LOADERS[name]().catch((error: unknown) => {
      loaded.delete(name);
      if (error instanceof VersusError) throw error;
      throw new VersusError('infrastructure', `tfjs-${name} cannot start: ${reasonOf(error)}`, {
        cause: error,
      });
    });
    loaded.set(name, engine);
  }
  return engine;
}

let turn: Promise<unknown> = Promise.resolve();

/**
 * Runs `body` with `engine` as tfjs's current one. tfjs has one current engine per process, so bodies wait for each other.
 */
export function using<T>(engine: Engine, body: () => Promise<T>): Promise<T> {
  const run = turn.then(async () => {
    const { tf } = engine;
    const backend = backendOf(engine.name);
    if (tf.getBackend() !== backend && !(await tf.setBackend(backend))) {
      throw new VersusError('infrastructure', `tfjs refuses the engine ${engine.name}`);
    }
    return engine.name === 'webgpu' ? withoutFaults(tf, body) : body();
  });
  turn = run.catch(() => {});
  return run;
}

const backendOf = (name: EngineName): string => name;

const LOADERS: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  cpu: async () => {
    const tf = loadTf();
    require('@tensorflow/tfjs-backend-cpu');
    return started('cpu', tf, cpuDevice());
  },
  wasm: async () => {
    const tf = loadTf();
    const { setWasmPaths } = require('@tensorflow/tfjs-backend-wasm') as typeof Wasm;
    setWasmPaths(join(dirname(require.resolve('@tensorflow/tfjs-backend-wasm')), '..', 'wasm-out') + sep);
    registerWasmOver(tf);
    registerWasmSlice(tf);
    return withoutHandlers(() => started('wasm', tf, cpuDevice()));
  },
  webgpu: async () => {
    // The backend asks for navigator.gpu when it is imported.
    const gpu = await openGpu();
    const tf = loadTf();
    require('@tensorflow/tfjs-backend-webgpu');
    // Else it computes small tensors on the processor, and nobody is told.
    tf.env().set('WEBGPU_CPU_FORWARD', false);
    return started('webgpu', tf, adapterDevice(gpu));
  },
  tensorflow: async () => {
    const { tf, device } = await loadNative();
    return started('tensorflow', tf, device);
  },
};

/** Of tfjs's WebGPUBackend: what was asked but not yet handed to the device, and the device. */
interface WebGpuBackend {
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  readonly device: { readonly queue: { onSubmittedWorkDone(): Promise<void> } };
}

const EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/** Emscripten's module catches every error of the process and throws it again with its own source: those handlers go. */
async function withoutHandlers<T>(load: () => Promise<T>): Promise<T> {
  const before = EVENTS.map((event) => new Set<unknown>(process.rawListeners(event)));
  try {
    return await load();
  } finally {
    EVENTS.forEach((event, i) => {
      for (const listener of process.rawListeners(event)) {
        if (!before[i]!.has(listener)) process.removeListener(event, listener as () => void);
      }
    });
  }
}

async function started(name: EngineName, tf: typeof Tf, device: Device): Promise<Engine> {
  if (!(await tf.setBackend(backendOf(name)))) {
    throw new VersusError('infrastructure', `tfjs has no engine ${name} on this machine`);
  }
  await tf.ready();
  // The other engines compute before they return.
  const queue = name === 'webgpu' ? (tf.backend() as unknown as WebGpuBackend) : null;
  const done = async (): Promise<void> => {
    queue?.ensureCommandEncoderReady();
    queue?.endComputePassEncoder();
    queue?.submitQueue();
    await queue?.device.queue.onSubmittedWorkDone();
  };
  return { name, tf, version: tf.version_core, device, copies: name === 'wasm', done };
}

function loadTf(): typeof Tf {
  const tf = require('@tensorflow/tfjs-core') as typeof Tf;
  // Without this it greets on the console.
  tf.enableProdMode();
  return tf;
}
