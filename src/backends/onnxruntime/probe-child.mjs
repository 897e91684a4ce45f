// Runs alone in a short-lived process: a driver may abort it without harm to the caller.
// Arguments: provider, device index, probe cases as JSON. Prints a line of JSON after each case, so that a driver that
// crashes in a later one leaves what is known of the earlier.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import * as module from 'onnxruntime-node';
import { prove } from './prove.mjs';

const [provider, deviceId, cases] = process.argv.slice(2);
const ort = module.default ?? module;
ort.env.logLevel = 'error';

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

const answer = { version: ort.env.versions.node, works: [], error: null };
for (const probe of JSON.parse(cases)) {
  try {
    await prove(ort, deviceId === '' ? provider : { name: provider, deviceId: Number(deviceId) }, probe);
    answer.works.push(probe.precision);
  } catch (error) {
    // Without fp32, which comes first, there is nothing.
    if (answer.works.length === 0) answer.error = String(error?.message ?? error);
  }
  process.stdout.write(`${JSON.stringify({ ...answer, ...evidence() })}\n`);
  if (answer.error !== null) break;
}
