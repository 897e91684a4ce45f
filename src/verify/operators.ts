import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Backend } from '../core/backend.ts';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { Tensors } from '../core/tensor.ts';
import { GraphBuilder } from '../graph/builder.ts';
import { inferTypes } from '../graph/infer.ts';
import { compareOutputs, type OutputDifference } from '../stats/parity.ts';
import { addGradients } from '../transform/gradient/index.ts';
import { trainBatchNorm } from '../transform/train-batchnorm.ts';
import { prepareArtifacts } from '../weights/index.ts';
import type { VerifyOptions } from './index.ts';
import { type Attributes, CASES } from './operator-cases.ts';
import { Sessions } from './sessions.ts';

/** Of the difference, whatever the magnitude. */
const TOLERANCE = 1e-4;

const attribute = z.union([z.number(), z.string(), z.array(z.number())]);
const caseSchema = z.looseObject({
  name: z.string(),
  op: z.string(),
  attrs: z.record(z.string(), attribute).default({}),
  inputs: z.array(z.string()).min(1),
  outputs: z.array(z.string()).min(1),
  grads: z.array(z.string()),
});
const configSchema = z.looseObject({ cases: z.array(caseSchema).min(1) });
type OperatorCase = z.infer<typeof caseSchema>;

/** Whether tensors are recordings of single operators, `<case>/grad.<input>`. */
export function recordsOperators(names: readonly string[]): boolean {
  return names.some((name) => /^[^/]+\/grad\./.test(name));
}

/**
 * Every recorded operation and its gradients, one graph each: `<case>/output.*` and `<case>/grad.*` against what the backend
 * computes. A case that cannot be built or run has its reason in the table, and the others go on.
 *
 * @param recorded `<case>/input.*`, `/output.*`, `/grad.*`, and `/upstream.*` (the gradient of each output to start from)
 * @throws VersusError `input` for a config.json that does not list the cases
 */
export async function operatorOutputs(
  dir: string,
  recorded: Tensors,
  backend: Backend,
  options: VerifyOptions,
): Promise<OutputDifference[]> {
  const tolerance = options.tolerance ?? TOLERANCE;
  const differences: OutputDifference[] = [];
  for (const one of await casesIn(dir)) {
    const own = (kind: string): Tensors =>
      Object.fromEntries(
        Object.entries(recorded)
          .filter(([name]) => name.startsWith(`${one.name}/${kind}.`))
          .map(([name, t]) => [name.slice(one.name.length + 1), t]),
      );
    const feeds = { ...own('input'), ...own('upstream') };
    const expected = { ...own('output'), ...own('grad') };
    const outcome = await computed(one, feeds, backend, options).catch((error: unknown) => reasonOf(error));
    for (const o of compareOutputs(typeof outcome === 'string' ? {} : outcome, expected, tolerance)) {
      differences.push({
        ...o,
        name: `${one.name}/${o.name}`,
        agrees: o.problem === null && o.max_abs <= tolerance,
        problem: typeof outcome === 'string' ? outcome : o.problem,
      });
    }
  }
  return differences;
}

async function computed(
  one: OperatorCase,
  feeds: Tensors,
  backend: Backend,
  options: VerifyOptions,
): Promise<Tensors> {
  const graph = await graphOf(one, feeds);
  const model = {
    ...({ name: one.name, family: 'operator', task: 'classify', config: null } as const),
    build: () => ({ [one.name]: graph }),
  };
  const { cacheDir, maxBytes } = options;
  const artifacts = await prepareArtifacts(model, { cacheDir, maxBytes, precision: 'fp32' });
  const sessions = new Sessions(backend, artifacts, options.open ?? { precision: 'fp32' });
  try {
    const wanted = new Set(graph.inputs.map((i) => i.name));
    return await sessions.run(
      one.name,
      Object.fromEntries(Object.entries(feeds).filter(([name]) => wanted.has(name))),
    );
  } finally {
    await sessions.close();
  }
}

/** The operation with its gradients: inputs `input.*` and `upstream.*`, outputs `output.*` and `grad.*`. */
async function graphOf(one: OperatorCase, feeds: Tensors): Promise<Graph> {
  const build = Object.hasOwn(CASES, one.op) ? CASES[one.op] : undefined;
  if (!build) throw new VersusError('unsupported', `no graph is known for ${JSON.stringify(one.op)}`);
  const g = new GraphBuilder(one.name, { opset: 17 });
  for (const [name, { dtype, shape }] of Object.entries(feeds)) g.input(name, dtype, shape);
  const results = build(
    g,
    one.inputs.map((name) => g.value(`input.${name}`)),
    one.attrs as Attributes,
  );
  results.forEach((result, i) => {
    g.output(`output.${one.outputs[i]}`, result);
  });
  const forward = one.attrs.training_mode === 1 ? inTraining(g.build()) : g.build();
  const whole = GraphBuilder.over(forward, inferTypes(forward, {}).types);
  const seeds = one.outputs.flatMap((name) =>
    feeds[`upstream.${name}`] ? [[`output.${name}`, whole.value(`upstream.${name}`)] as const] : [],
  );
  const wrt = one.grads.map((name) => `input.${name}`);
  for (const [name, gradient] of addGradients(whole, new Map(seeds), wrt)) {
    whole.output(name.replace(/^input\./, 'grad.'), gradient);
  }
  return whole.build();
}

/** A normalisation that learns its statistics, recorded among the inputs, as it would from a model's buffers. */
function inTraining(graph: Graph): Graph {
  const isRunning = ({ name }: { name: string }): boolean => /^input\.running_/.test(name);
  const running = graph.inputs.filter(isRunning);
  const made = trainBatchNorm({
    ...graph,
    inputs: graph.inputs.filter((i) => !isRunning(i)),
    params: [
      ...graph.params,
      ...running.map((r) => ({ ...r, shape: r.shape as number[], role: 'buffer' as const })),
    ],
  });
  const renamed = (name: string): string => name.replace(/^next\/input\./, 'output.');
  return {
    ...made.graph,
    inputs: [...made.graph.inputs, ...running],
    params: made.graph.params.filter((p) => !isRunning(p)),
    outputs: made.graph.outputs.map((o) => ({ ...o, name: renamed(o.name) })),
    nodes: made.graph.nodes.map((n) => ({ ...n, outputs: n.outputs.map(renamed) })),
  };
}

async function casesIn(dir: string): Promise<readonly OperatorCase[]> {
  const path = join(dir, 'config.json');
  try {
    return configSchema.parse(JSON.parse(await readFile(path, 'utf8'))).cases;
  } catch (error) {
    throw new VersusError('input', `config.json does not list the recorded operations: ${reasonOf(error)}`, {
      where: path,
    });
  }
}
