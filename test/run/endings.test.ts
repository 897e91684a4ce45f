import { describe, expect, it } from 'vitest';
import { judge, type Observed } from '../../src/run/endings.ts';

const seen = (over: Partial<Observed>): Observed => ({
  done: false,
  error: null,
  exitCode: null,
  signal: null,
  killed: null,
  timeoutMs: 120_000,
  stage: 'measuring the speed',
  output: '',
  oomKills: null,
  ...over,
});
const error = (message: string, over = {}) => ({
  kind: null,
  code: null,
  message,
  where: null,
  next: null,
  ...over,
});

describe('the end of a process', () => {
  it.each([
    ['a result', seen({ done: true, exitCode: 0 }), 'ok', null],
    ['a crash after the result', seen({ done: true, signal: 'SIGSEGV' }), 'ok', null],
    [
      'our own kill at the limit',
      seen({ killed: 'timeout', signal: 'SIGKILL' }),
      'timeout',
      'killed after 120 s without coming to an end while measuring the speed',
    ],
    [
      'our own kill on Ctrl-C',
      seen({ killed: 'cancelled' }),
      'cancelled',
      'stopped while measuring the speed',
    ],
    ['SIGBUS', seen({ signal: 'SIGBUS' }), 'crashed', 'SIGBUS while measuring the speed'],
    [
      'V8 without memory',
      seen({
        signal: 'SIGABRT',
        output:
          'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n----- Native stack trace -----\n\n 1: 0xb87bc0 node::Abort() [node]\n',
      }),
      'oom',
      'out of memory while measuring the speed: FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    ],
    [
      'C++ without memory',
      seen({
        signal: 'SIGABRT',
        output: "terminate called after throwing an instance of 'std::bad_alloc'\n",
      }),
      'oom',
      "out of memory while measuring the speed: terminate called after throwing an instance of 'std::bad_alloc'",
    ],
    [
      'a kernel that killed for memory',
      seen({ signal: 'SIGKILL', oomKills: 1 }),
      'oom',
      'killed by the system while measuring the speed: out of memory',
    ],
    [
      'a kill by nobody knows whom',
      seen({ signal: 'SIGKILL', oomKills: null }),
      'oom',
      'killed by the system while measuring the speed, most likely out of memory',
    ],
    [
      'an allocation that a runtime reports',
      seen({ error: error('bad allocation') }),
      'oom',
      'out of memory while measuring the speed: bad allocation',
    ],
    [
      'a thrown error',
      seen({ error: error('no', { kind: 'input', where: 'a.onnx', next: 'mend it' }) }),
      'failed',
      'no (a.onnx); next: mend it',
    ],
    [
      'a missing operator',
      seen({ error: error('no Foo', { kind: 'unsupported' }) }),
      'unsupported',
      'no Foo',
    ],
  ])('%s', (_what, observed, status, reason) => {
    expect(judge(observed)).toEqual({ status, reason });
  });

  it('quotes at most a few lines of what was printed', () => {
    const { reason } = judge(seen({ signal: 'SIGSEGV', output: `${'x'.repeat(100_000)}\n` }));
    expect(reason!.length).toBeLessThan(600);
  });
});
