// Runs command lines one after another in this process, which loads the package once. Told and answered over the IPC channel.
import { start } from '../../src/start.mjs';

/** One command line: what it wrote and the exit code that it would have left with. */
async function ran(args) {
  const heard = { stdout: '', stderr: '' };
  const { exit } = process;
  const writes = ['stdout', 'stderr'].map((name) => {
    const { write } = process[name];
    process[name].write = (chunk, ...rest) => {
      heard[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      rest.findLast((arg) => typeof arg === 'function')?.();
      return true;
    };
    return () => {
      process[name].write = write;
    };
  });
  const code = await new Promise((left, fail) => {
    process.exit = left;
    start([process.execPath, 'versus', ...args]).catch(fail);
  });
  process.exit = exit;
  for (const restore of writes) restore();
  process.emit('exit', code);
  for (const event of ['exit', 'SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(event);
  process.stdout.removeAllListeners('error');
  process.removeAllListeners('beforeExit');
  return { code, ...heard };
}

process.once('message', async (lines) => {
  const answers = [];
  for (const args of lines) answers.push(await ran(args));
  process.send(answers, () => process.exit(0));
});
