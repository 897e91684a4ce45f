import { PASSES, type RecordLine, SCHEMA_VERSION, STATUSES } from '../core/record.ts';

/**
 * The shape of each line of records.jsonl. Written by hand because a report reads 100,000 lines: these checks neither copy
 * nor allocate, so that reading costs little more than JSON.parse.
 * A check returns null, or what is wrong, beginning with the field's path.
 */
type Check = (value: unknown) => string | null;

const text: Check = (v) => (typeof v === 'string' ? null : ': expected a string');
const flag: Check = (v) => (typeof v === 'boolean' ? null : ': expected true or false');
const real: Check = (v) => (typeof v === 'number' && Number.isFinite(v) ? null : ': expected a number');
const count: Check = (v) =>
  Number.isSafeInteger(v) && (v as number) >= 0 ? null : ': expected a whole number >= 0';

const numbers: Check = (v) => {
  if (!Array.isArray(v)) return ': expected a list of numbers';
  for (let i = 0; i < v.length; i++) if (!Number.isFinite(v[i])) return `[${i}]: expected a number`;
  return null;
};
const nullable =
  (check: Check): Check =>
  (v) =>
    v === null ? null : check(v);
const optional =
  (check: Check): Check =>
  (v) =>
    v === undefined ? null : check(v);
const oneOf =
  (names: readonly string[]): Check =>
  (v) =>
    names.includes(v as string) ? null : `: expected one of ${names.join(', ')}`;
const listOf =
  (check: Check): Check =>
  (v) => {
    if (!Array.isArray(v)) return ': expected a list';
    for (let i = 0; i < v.length; i++) {
      const wrong = check(v[i]);
      if (wrong !== null) return `[${i}]${wrong}`;
    }
    return null;
  };
const mapOf =
  (check: Check): Check =>
  (v) => {
    if (typeof v !== 'object' || v === null || Array.isArray(v)) return ': expected an object';
    for (const [key, value] of Object.entries(v)) {
      const wrong = check(value);
      if (wrong !== null) return `.${key}${wrong}`;
    }
    return null;
  };
const object = (fields: Readonly<Record<string, Check>>): Check => {
  const entries = Object.entries(fields);
  return (v) => {
    if (typeof v !== 'object' || v === null || Array.isArray(v)) return ': expected an object';
    for (const [key, check] of entries) {
      const wrong = check((v as Record<string, unknown>)[key]);
      if (wrong !== null) return `.${key}${wrong}`;
    }
    return null;
  };
};

const scalar: Check = (v) =>
  v === null || ['string', 'number', 'boolean'].includes(typeof v)
    ? null
    : ': expected a text, a number, true, false or null';

const CELL = {
  case_id: text,
  suite: text,
  workload: text,
  arm: text,
  group: nullable(text),
  model: text,
  backend: text,
  precision: text,
  batch: count,
  settings: optional(text),
};

const DEVICE = object({ kind: oneOf(['cpu', 'gpu']), name: text, driver: nullable(text), software: flag });

const METRIC = object({
  name: text,
  unit: text,
  better: oneOf(['lower', 'higher']),
  assume: oneOf(['nothing', 'exact']),
  of: oneOf(['duration', 'step', 'rate', 'score', 'flops', 'fact']),
  phases: optional(listOf(text)),
  minus: optional(listOf(text)),
  per: optional(text),
  seeded: optional(flag),
});

const positive: Check = (v) => (real(v) === null && (v as number) > 0 ? null : ': expected a number > 0');

const GROWTH = object({
  size: text,
  unit: text,
  of: text,
  dimensions: positive,
  lines: listOf(
    object({ name: text, points: listOf(object({ arm: text, size: positive })), note: optional(text) }),
  ),
});

const HEAD = { schema_version: count, run_id: text };

const samples = (() => {
  const fields = object({ phase: text, ms: numbers, items: numbers, rep: numbers });
  return listOf((v) => {
    const wrong = fields(v);
    if (wrong !== null) return wrong;
    const { ms, items, rep } = v as { ms: unknown[]; items: unknown[]; rep: unknown[] };
    return ms.length === items.length && ms.length === rep.length
      ? null
      : ': ms, items and rep differ in length';
  });
})();

const LINES: Readonly<Record<RecordLine['type'], Check>> = {
  run: object({
    ...HEAD,
    started: text,
    versus: text,
    profile: text,
    argv: listOf(text),
    git: nullable(object({ commit: text, dirty: flag })),
    environment: object({
      os: text,
      cpu: text,
      cores: count,
      memory_bytes: count,
      node: text,
      gpus: listOf(text),
      fingerprint: text,
      warnings: listOf(text),
    }),
    plan: listOf(object(CELL)),
    rounds: count,
    suites: listOf(
      object({
        name: text,
        question: text,
        headline: listOf(text),
        contrasts: listOf(listOf(text)),
        metrics: mapOf(listOf(METRIC)),
        only: optional(mapOf(listOf(text))),
        growth: optional(GROWTH),
      }),
    ),
    backends: optional(
      listOf(
        object({
          name: text,
          available: flag,
          version: nullable(text),
          device: nullable(DEVICE),
          reason: nullable(text),
          fix: nullable(text),
        }),
      ),
    ),
  }),
  case: object({
    ...HEAD,
    ...CELL,
    pass: oneOf(PASSES),
    round: count,
    status: oneOf(STATUSES),
    reason: nullable(text),
    device: nullable(DEVICE),
    backend_version: nullable(text),
    options: nullable(mapOf(scalar)),
    model_sha256: nullable(text),
    started: text,
    wall_ms: real,
    cold: object({
      spawn: nullable(real),
      build: nullable(real),
      load: nullable(real),
      first: nullable(real),
    }),
    samples,
    memory: nullable(
      object({
        baseline_rss: nullable(real),
        peak_rss: nullable(real),
        difference_rss: nullable(real),
        peak_gpu: nullable(real),
        method: text,
        interval_ms: real,
        observations: count,
      }),
    ),
    parity: nullable(
      object({
        agrees: flag,
        tolerance: real,
        max_rel: real,
        max_abs: real,
        cosine: real,
        worst: text,
        top1: nullable(real),
        reference: text,
      }),
    ),
    placement: nullable(
      object({
        nodes: mapOf(real),
        share: real,
        times: optional(nullable(mapOf(real))),
        share_of_time: optional(nullable(real)),
        method: oneOf(['profile', 'strict', 'single']),
        strays: listOf(text),
      }),
    ),
    traffic: optional(nullable(object({ to_device: count, to_host: count, resident: count }))),
    facts: nullable(
      object({
        parameters: nullable(real),
        macs: nullable(real),
        nodes: nullable(real),
        weight_bytes: nullable(real),
        weights: nullable(text),
        trained: flag,
        told: optional(mapOf(real)),
      }),
    ),
    scores: listOf(
      object({
        ...{ metric: text, value: real, n: count, correct: optional(listOf(flag)) },
        curve: optional(numbers),
        learning: optional(listOf(object({ images: count, values: numbers }))),
        interval: optional(object({ lo: real, hi: real, method: text })),
      }),
    ),
  }),
  peak: object({
    ...HEAD,
    backend: text,
    precision: text,
    gflops: nullable(real),
    reason: nullable(text),
  }),
  end: object({
    ...HEAD,
    finished: text,
    outcome: oneOf(['complete', 'interrupted', 'stopped']),
    reason: nullable(text),
  }),
};

/** The schema version that a parsed line claims, or null when it claims none. */
export function versionOf(value: unknown): number | null {
  if (typeof value !== 'object' || value === null) return null;
  const version = (value as { schema_version?: unknown }).schema_version;
  return typeof version === 'number' ? version : null;
}

/** Null when the parsed line is a record of this schema version, else what is wrong with it and where. */
export function faultOf(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'expected an object';
  const type = (value as { type?: unknown }).type;
  if (typeof type !== 'string' || !Object.hasOwn(LINES, type)) {
    return `type: expected one of ${Object.keys(LINES).join(', ')}`;
  }
  if (versionOf(value) !== SCHEMA_VERSION) return `schema_version: expected ${SCHEMA_VERSION}`;
  const wrong = LINES[type as RecordLine['type']](value);
  return wrong === null ? null : wrong.slice(1);
}
