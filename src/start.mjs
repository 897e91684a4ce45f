// @ts-check
import { configOf } from './code/find.mjs';
import { bundle } from './code/index.mjs';

/**
 * Runs a command line: as JavaScript where that can be, else from the TypeScript sources.
 * @param {readonly string[]} argv as in `process.argv`
 */
export async function start(argv) {
  const args = argv.slice(2);
  // What loads so little of us that it is sooner done from sources.
  const small = args.length === 0 || args.some((arg) => /^(-h|--help|help|-V|--version)$/.test(arg));
  if (!small && (await fromJavaScript(argv, configOf(args)))) return;
  await import('./loader.mjs');
  const { main } = await import('./cli.ts');
  await main(argv);
}

/**
 * False where it has to be done from sources.
 * @param {readonly string[]} argv
 * @param {string} configPath
 */
async function fromJavaScript(argv, configPath) {
  const { code, close } = await bundle(configPath);
  if (code === null) return false;
  const stay = leaveNothing(close);
  /** @type {{ main: typeof import('./cli.ts').main }} */
  const { main } = await import(code.cli);
  if (await main(argv, code)) return true;
  stay();
  close();
  return false;
}

/**
 * Removes the files however the process ends, but for a SIGKILL. Returns how to have it not.
 * @param {() => void} close
 */
function leaveNothing(close) {
  process.on('exit', close);
  const signals = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  /** @param {NodeJS.Signals} signal */
  const onSignal = (signal) => {
    // A command that has a way of its own to stop takes it.
    if (process.listenerCount(signal) > 1) return;
    close();
    process.off(signal, onSignal);
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return () => {
    process.off('exit', close);
    for (const signal of signals) process.off(signal, onSignal);
  };
}
