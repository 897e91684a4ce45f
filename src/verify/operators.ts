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
 * Every recorded operation and its gradients, a graph of its own for each: `<case>/output.*` and `<case>/grad.*` against what the backend
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
  const cases = (await casesIn(dir)).map((one) => ({ ...one, ...tensorsOf(one.name, recorded) }));
  const problems = new Map<string, string>();
  const graphs: Record<string, Graph> = {};
  for (const one of cases) {
    try {
      graphs[one.name] = graphOf(one, one.feeds);
    } catch (error) {
      problems.set(one.name, reasonOf(error));
    }
  }
  const model = {
    ...({ name: 'operators', family: 'operators', task: 'classify', config: null } as const),
    build: () => graphs,
  };
  const { cacheDir, maxBytes, open = { precision: 'fp32' } } = options;
  const artifacts = await prepareArtifacts(model, { cacheDir, maxBytes, precision: 'fp32' });
  const differences: OutputDifference[] = [];
  for (const { name, feeds, expected } of cases) {
    let computed: Tensors = {};
    const graph = graphs[name];
    if (graph) {
      const sessions = new Sessions(backend, artifacts, open);
      try {
        computed = await sessions.run(name, fedTo(graph, feeds));
      } catch (error) {
        problems.set(name, reasonOf(error));
      } finally {
        await sessions.close();
      }
    }
    for (const o of compareOutputs(computed, expected, tolerance)) {
      differences.push({
        ...o,
        name: `${name}/${o.name}`,
        agrees: o.problem === null && o.max_abs <= tolerance,
        problem: problems.get(name) ?? o.problem,
      });
    }
  }
  return differences;
}

/** What is recorded of a case: `input.*` and `upstream.*`, which are fed; `output.*` and `grad.*`, which are expected. */
function tensorsOf(name: string, recorded: Tensors): { feeds: Tensors; expected: Tensors } {
  const feeds: Tensors = {};
  const expected: Tensors = {};
  for (const [key, t] of Object.entries(recorded)) {
    if (!key.startsWith(`${name}/`)) continue;
    const own = key.slice(name.length + 1);
    if (/^(input|upstream)\./.test(own)) feeds[own] = t;
    else expected[own] = t;
  }
  return { feeds, expected };
}

function fedTo({ inputs }: Graph, feeds: Tensors): Tensors {
  return Object.fromEntries(inputs.map(({ name }) => [name, feeds[name]!]));
}

/** The operation with its gradients: inputs `input.*` and `upstream.*`, outputs `output.*` and `grad.*`. */
function graphOf(one: OperatorCase, feeds: Tensors): Graph {
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
