// Runs alone in a short-lived process: a driver may abort it without harm to the caller.
// Arguments: provider, device index, base64 of a graph per precision. Prints one line of JSON.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import * as module from 'onnxruntime-node';

const [provider, deviceId, ...graphs] = process.argv.slice(2);
const ort = module.default ?? module;
ort.env.logLevel = 'error';

async function tryGraph(base64, type) {
  const session = await ort.InferenceSession.create(Buffer.from(base64, 'base64'), {
    executionProviders: [deviceId === '' ? provider : { name: provider, deviceId: Number(deviceId) }],
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    logSeverityLevel: 4,
  });
  const x = type === 'float32' ? new Float32Array([3, 4]) : new Uint16Array([0x4200, 0x4400]);
  const { y } = await session.run({ x: new ort.Tensor(type, x, [2]) });
  const bytes = Buffer.from(y.data.buffer, y.data.byteOffset, y.data.byteLength);
  const right = type === 'float32' ? new Float32Array([9, 16]) : new Uint16Array([0x4880, 0x4c00]);
  if (!bytes.equals(Buffer.from(right.buffer))) throw new Error(`wrong result: ${y.data}`);
}

/** Driver libraries in this process and GPU device files that it holds open: which driver really answered. */
function evidence() {
  if (process.platform !== 'linux') return { libraries: [], devices: [] };
  const libraries = new Set(
    readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .map((line) => line.slice(line.indexOf('/')))
      .filter((path) => /\/(libvulkan_|libvk_|libGLX_nvidia|libnvidia|libLLVM|libcuda|amdvlk)/.test(path)),
  );
  const devices = new Set();
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`);
      if (/^\/dev\/(dri\/|nvidia\d|kfd|dxg)/.test(target)) devices.add(target);
    } catch {
      // The descriptor of the listing itself is gone by now.
    }
  }
  return { libraries: [...libraries], devices: [...devices] };
}

const types = ['float32', 'float16'];
const answer = { version: ort.env.versions.node, works: [], error: null };
for (const [i, graph] of graphs.entries()) {
  try {
    await tryGraph(graph, types[i]);
    answer.works.push(types[i]);
  } catch (error) {
    if (i === 0) {
      answer.error = String(error?.message ?? error);
      break;
    }
  }
}
process.stdout.write(`${JSON.stringify({ ...answer, ...evidence() })}\n`);
