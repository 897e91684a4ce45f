import type { Availability } from '../core/backend.ts';
import { type Case, type CaseRecord, SCHEMA_VERSION, type Status } from '../core/record.ts';
import type { Blocked } from './plan.ts';
import { faultOf } from './record-schema.ts';
import type { Ending } from './supervise.ts';

interface Verdict {
  readonly status: Status;
  readonly reason: string | null;
}

/** The record of a process, from what it said and how it ended. */
export function recordOf(
  runId: string,
  of: Case,
  ending: Ending,
  probe: Availability | undefined,
): CaseRecord {
  const { findings } = ending;
  const record: CaseRecord = {
    ...blank(runId, of, probe),
    ...verdictOf(of, ending, probe),
    options: findings.options ?? null,
    model_sha256: findings.model_sha256 ?? null,
    started: ending.started,
    wall_ms: ending.wallMs,
    cold: {
      spawn: ending.spawnMs,
      build: findings.cold?.build ?? null,
      load: findings.cold?.load ?? null,
      first: findings.cold?.first ?? null,
    },
    samples: ending.samples,
    memory: ending.memory,
    parity: findings.parity ?? null,
    placement: findings.placement ?? null,
    ...(findings.traffic && { traffic: findings.traffic }),
    facts: findings.facts ?? null,
    scores: findings.scores ?? [],
  };
  const fault = faultOf(record);
  if (fault === null) return record;
  // Readers would leave such a line out, and the case with it.
  const reason = `a plugin reported what a record cannot hold: ${fault}`;
  return { ...blank(runId, of, probe), status: 'failed', reason, wall_ms: ending.wallMs };
}

/** The record of a cell that was asked for and was not started. */
export function recordOfUnstarted(
  runId: string,
  of: Case,
  verdict: Blocked | { readonly status: 'invalid'; readonly reason: string },
  probe: Availability | undefined,
): CaseRecord {
  return { ...blank(runId, of, probe), ...verdict };
}

function verdictOf(of: Case, ending: Ending, probe: Availability | undefined): Verdict {
  const { status, reason, findings } = ending;
  if (status !== 'ok' || of.pass !== 'check') return { status, reason };
  if (findings.invalid) return { status: 'invalid', reason: findings.invalid };
  if (probe?.available && probe.device.software) {
    return {
      status: 'correctness-only',
      reason: `${probe.device.name} is a GPU emulated on the CPU: the outputs agree, its speed means nothing`,
    };
  }
  return { status, reason };
}

function blank(runId: string, of: Case, probe: Availability | undefined): CaseRecord {
  return {
    type: 'case',
    schema_version: SCHEMA_VERSION,
    run_id: runId,
    ...of,
    status: 'ok',
    reason: null,
    device: probe?.available ? probe.device : null,
    backend_version: probe?.version ?? null,
    options: null,
    model_sha256: null,
    started: new Date().toISOString(),
    wall_ms: 0,
    cold: { spawn: null, build: null, load: null, first: null },
    samples: [],
    memory: null,
    parity: null,
    placement: null,
    facts: null,
    scores: [],
  };
}
