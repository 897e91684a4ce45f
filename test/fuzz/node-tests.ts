import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reasonOf, VersusError } from '../../src/core/errors.ts';
import type { Graph } from '../../src/core/graph.ts';
import type { Tensor, Tensors } from '../../src/core/tensor.ts';
import { inferTypes } from '../../src/graph/infer.ts';
import { decodeOnnx } from '../../src/graph/onnx/index.ts';
import { decodeTensor } from '../../src/graph/onnx/tensor.ts';
import { difference, type Outcome, type Tolerance } from './outcome.ts';

/** One of ONNX's backend node tests: a model, what it is fed and what it must give. */
export interface NodeTest {
  readonly name: string;
  /** Its operator, with the domain; `a function's nodes` for a model that spells one out. */
  readonly op: string;
  readonly model: Uint8Array;
  readonly feeds: Tensors;
  readonly expected: Tensors;
}

export interface Verdict {
  readonly name: string;
  readonly op: string;
  readonly verdict: 'passed' | 'failed' | 'unsupported';
  /** Why not passed. */
  readonly reason?: string;
}

/** Those of ONNX's own runner (`onnx/backend/test/runner`, `assert_allclose`). */
export const RUNNER_TOLERANCE: Tolerance = { relative: 1e-3, absolute: 1e-7 };

/** Names of the tests in a folder `…/backend/test/data/node`. */
export function nodeTestNames(folder: string): string[] {
  if (!existsSync(folder)) throw new VersusError('usage', 'there is no such folder', { where: folder });
  const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'model.onnx')));
  if (names.length > 0) return names.sort();
  throw new VersusError('usage', 'the folder holds no test_*/model.onnx', {
    where: folder,
    next: 'name the folder onnx/backend/test/data/node of a checkout of onnx',
  });
}

/** Operator of a test whose model can't be read, as its graph spells it. */
function operatorOf(graph: Graph): string {
  const [node] = graph.nodes;
  if (graph.nodes.length !== 1 || !node) return "a function's nodes";
  return node.domain ? `${node.domain}:${node.op}` : node.op;
}

/**
 * Reads one test. Feeds and expected outputs are TensorProto files in the order of the graph's inputs and outputs.
 *
 * @throws VersusError `unsupported` or `input` when the model or a tensor is of a kind that Versus does not handle
 */
export function readNodeTest(folder: string, name: string): NodeTest {
  const model = new Uint8Array(readFileSync(join(folder, name, 'model.onnx')));
  const graph = decodeOnnx(model);
  const data = join(folder, name, 'test_data_set_0');
  const read = (kind: 'input' | 'output', names: readonly string[]): Tensors =>
    Object.fromEntries(
      names.flatMap((value, i) => {
        const path = join(data, `${kind}_${i}.pb`);
        return existsSync(path) ? [[value, tensorAt(path)]] : [];
      }),
    );
  return {
    name,
    op: operatorOf(graph),
    model,
    feeds: read(
      'input',
      graph.inputs.map((i) => i.name),
    ),
    expected: read(
      'output',
      graph.outputs.map((o) => o.name),
    ),
  };
}

function tensorAt(path: string): Tensor {
  const { dtype, shape, data } = decodeTensor(new Uint8Array(readFileSync(path)));
  if (!data) throw new VersusError('unsupported', 'external data in a test tensor', { where: path });
  return { dtype, shape, data };
}

/** What an outcome means for a test. */
export function judge(test: NodeTest, outcome: Outcome): Verdict {
  const { name, op } = test;
  if (outcome.is === 'death') return { name, op, verdict: 'failed', reason: outcome.message };
  if (outcome.is === 'error') {
    const verdict = outcome.kind === 'unsupported' ? 'unsupported' : 'failed';
    return { name, op, verdict, reason: outcome.message };
  }
  const reason = difference(outcome.tensors, test.expected, () => RUNNER_TOLERANCE);
  return reason === null ? { name, op, verdict: 'passed' } : { name, op, verdict: 'failed', reason };
}

/**
 * Where the operator table contradicts a test: an element type or a size that it infers is not what the operator gives, or
 * it calls the graph wrong. Null when it agrees, or does not know the operator.
 */
export function inferenceProblem({
  model,
  feeds,
  expected,
}: Pick<NodeTest, 'model' | 'feeds' | 'expected'>): string | null {
  const graph = decodeOnnx(model);
  const fed = graph.inputs.map((i) => ({ ...i, shape: feeds[i.name]?.shape ?? i.shape }));
  let types: ReturnType<typeof inferTypes>['types'];
  try {
    ({ types } = inferTypes({ ...graph, inputs: fed, values: {} }, {}));
  } catch (error) {
    return `shape inference refuses it: ${reasonOf(error)}`;
  }
  for (const [name, want] of Object.entries(expected)) {
    const type = types.get(name);
    if (!type) continue;
    const fits = type.shape.every((d, i) => typeof d === 'string' || d === want.shape[i]);
    if (type.dtype !== want.dtype || type.shape.length !== want.shape.length || !fits)
      return `shape inference says ${type.dtype}[${type.shape.join(', ')}] for ${name}, which is ${want.dtype}[${want.shape.join(', ')}]`;
  }
  return null;
}
