import type { NodeTime, Placement } from '../../core/backend.ts';
import { reasonOf, VersusError } from '../../core/errors.ts';
import type { Graph, Node, Param } from '../../core/graph.ts';
import type { Tensor } from '../../core/tensor.ts';
import { neededNodes } from '../../graph/needed.ts';
import type { Numbers } from '../../transform/optimise.ts';
import { constants } from './constants.ts';
import { download } from './download.ts';
import type { Engine } from './engine.ts';
import { Fixed } from './fixed.ts';
import { computedOnHost, leftToHost, onHost } from './host.ts';
import { kernelOf } from './kernels/index.ts';
import type { Call, Kernel, Made, Run } from './kernels/kernel.ts';
import { lacking } from './support.ts';
import { NodeTimer } from './timer.ts';
import { dispose, type Value } from './value.ts';

/** A node with all that is known of it before it runs. */
interface Step {
  readonly node: Node;
  readonly kernel: Kernel | undefined;
  /** Values that nobody reads after this node. */
  readonly last: readonly string[];
}

/**
 * Runs a graph on an engine, node by node in the graph's order. What follows from constants and the inputs' shapes alone is
 * computed once per set of shapes; every other tensor is freed after its last use.
 */
export class Executor {
  private readonly graph: Graph;
  private readonly engine: Engine;
  private readonly opset: number;
  private readonly constants: ReadonlyMap<string, Value>;
  private readonly fixed = new Fixed();
  private readonly plans = new Map<string, readonly Step[]>();
  /** Nodes of the last run by where they were computed. */
  private ran = { engine: 0, host: 0 };
  private readonly timer: NodeTimer | null;

  private constructor(
    graph: Graph,
    values: ReadonlyMap<string, Value>,
    engine: Engine,
    timer: NodeTimer | null,
  ) {
    this.graph = graph;
    this.engine = engine;
    this.opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
    this.constants = values;
    this.timer = timer;
  }

  /**
   * Puts a graph's parameters on the engine, one after the other.
   * @param params the graph's, to be emptied on the way where they shall not stay in memory
   * @param timed measures each node: it waits for the engine after every one, so the whole takes longer
   */
  static async load(
    graph: Graph,
    numbers: Numbers,
    engine: Engine,
    timed: boolean,
    params: Param[] = [...graph.params],
  ): Promise<Executor> {
    const values = await constants(graph, params, numbers, engine);
    return new Executor(graph, values, engine, timed ? new NodeTimer(engine) : null);
  }

  /**
   * Computes the outputs `fetch`, which the caller then owns: `free` each, unless it holds it for later.
   * @param feeds tensors, or values of this engine, which stay the caller's
   * @throws VersusError `input` or `unsupported`, naming the node
   */
  async run(
    feeds: Readonly<Record<string, Tensor | Value>>,
    fetch: readonly string[],
  ): Promise<ReadonlyMap<string, Value>> {
    const fixed = this.fixed.of(feeds);
    const values = new Map<string, Value>(this.constants);
    for (const [name, fed] of Object.entries(feeds)) {
      values.set(name, 'data' in fed ? { dtype: fed.dtype, shape: fed.shape, fixed: false, host: fed } : fed);
    }
    const lent = new Set(Object.values(feeds));
    const release = (name: string): void => {
      const value = values.get(name);
      values.delete(name);
      // What is fixed is kept with the shapes that it follows from, and a parameter until the session is closed.
      if (value && !value.fixed && !lent.has(value)) dispose(value);
    };
    this.ran = { engine: 0, host: 0 };
    const results = new Map<string, Value>();
    try {
      for (const step of this.stepsFor(fetch)) {
        await this.step(step, values, fixed);
        for (const name of step.last) release(name);
      }
      for (const name of fetch) {
        const value = found(values, name, this.graph);
        // An output that is an input or fixed is handed out as a value of its own.
        results.set(name, value.fixed || lent.has(value) ? copied(this.engine, value) : value);
        values.delete(name);
      }
      return results;
    } catch (error) {
      for (const value of results.values()) dispose(value);
      throw error;
    } finally {
      for (const name of values.keys()) release(name);
      this.fixed.trim();
    }
  }

  /** Where the nodes of the last run were computed; shape arithmetic and whole numbers are on the host on purpose. */
  placement(): Placement | null {
    const { name } = this.engine;
    if (this.ran.engine + this.ran.host === 0) return null;
    return {
      nodes: { [`tfjs-${name}`]: this.ran.engine, host: this.ran.host },
      share: 1,
      method: 'single',
      strays: [],
    };
  }

  /** Times of all nodes over all runs; null where none were taken. */
  profile(): readonly NodeTime[] | null {
    return this.timer?.times() ?? null;
  }

  close(): void {
    for (const value of this.constants.values()) dispose(value);
    this.fixed.clear();
  }

  private async step(
    { node, kernel }: Step,
    values: Map<string, Value>,
    fixed: Map<string, Value>,
  ): Promise<void> {
    if (node.outputs.every((name) => name === '' || fixed.has(name))) {
      for (const name of node.outputs) if (name !== '') values.set(name, fixed.get(name)!);
      return;
    }
    const inputs = node.inputs.map((name) => (name === '' ? undefined : found(values, name, this.graph)));
    const isFixed = shapesOnly(node) || inputs.every((value) => !value || value.fixed);
    const compute = () => this.compute(node, kernel, inputs);
    const made = await (this.timer ? this.timer.timed(node, inputs, compute) : compute()).catch(
      (error: unknown) => {
        throw this.explained(error, node);
      },
    );
    // Optional outputs that nobody asked for.
    made.forEach(({ device }, i) => {
      if (!node.outputs[i]) device?.dispose();
    });
    node.outputs.forEach((name, i) => {
      if (name === '') return;
      if (!made[i]) {
        throw this.explained(new VersusError('unsupported', `its output ${i}`), node);
      }
      const value: Value = { ...made[i], fixed: isFixed };
      values.set(name, value);
      if (isFixed) fixed.set(name, value);
    });
  }

  private async compute(
    node: Node,
    kernel: Kernel | undefined,
    inputs: readonly (Value | undefined)[],
  ): Promise<readonly Made[]> {
    const { engine, opset } = this;
    if (onHost(node, inputs) || leftToHost(node, kernel, inputs)) {
      for (const value of inputs) await onto(engine, node, value);
      this.ran.host++;
      return computedOnHost(node, opset, inputs);
    }
    if (!kernel) {
      throw new VersusError('unsupported', `on ${inputs[0]?.dtype ?? 'no input'}`);
    }
    for (const at of kernel.reads ?? []) {
      await onto(engine, node, inputs[at]);
    }
    this.ran.engine++;
    return kept({ node, opset, inputs, engine, tf: engine.tf }, kernel.run);
  }

  private stepsFor(fetch: readonly string[]): readonly Step[] {
    const key = fetch.join('\n');
    let steps = this.plans.get(key);
    if (!steps) {
      steps = planned(this.graph, fetch);
      this.plans.set(key, steps);
    }
    return steps;
  }

  /** An error that names the node. */
  private explained(error: unknown, node: Node): VersusError {
    const where = `node ${node.name || node.outputs[0]}`;
    if (!(error instanceof VersusError)) {
      return new VersusError('input', `${node.op} cannot be computed: ${reasonOf(error)}`, {
        where,
        cause: error,
      });
    }
    if (error.kind === 'unsupported') {
      return lacking(this.engine.name, [{ node, why: error.message }], this.graph.opset, where);
    }
    return error.where
      ? error
      : new VersusError(error.kind, error.message, {
          where,
          ...(error.next ? { next: error.next } : {}),
          cause: error,
        });
  }
}

/** Brings a value to the host, but where only its shape is looked at. */
async function onto(engine: Engine, node: Node, value: Value | undefined): Promise<void> {
  if (value && !value.host && !shapesOnly(node)) value.host = await download(engine, value);
}

/** Operators whose result follows from the shape of their input, whatever its numbers are. */
const shapesOnly = (node: Node): boolean => node.op === 'Shape' || node.op === 'Size';

function found(values: ReadonlyMap<string, Value>, name: string, graph: Graph): Value {
  const value = values.get(name);
  if (value) return value;
  throw new VersusError('input', `value '${name}' is missing`, { where: `graph ${graph.name}` });
}

/** A value with the same data that is freed by itself. */
function copied({ tf }: Engine, value: Value): Value {
  const { dtype, shape, host, device, order } = value;
  return {
    dtype,
    shape,
    fixed: false,
    ...(host ? { host } : {}),
    ...(device ? { device: tf.clone(device) } : {}),
    ...(order ? { order } : {}),
  };
}

/** Runs a kernel and frees all that it made besides the results that the node names. */
function kept(call: Call, run: Run): readonly Made[] {
  let made: readonly Made[] = [];
  call.tf.tidy(() => {
    made = run(call);
    return made.flatMap(({ device }, i) => (call.node.outputs[i] ? (device ?? []) : []));
  });
  return made;
}

function planned(graph: Graph, fetch: readonly string[]): Step[] {
  const seen = new Set(fetch);
  const steps: Step[] = [];
  for (const node of neededNodes(graph, fetch).reverse()) {
    const names = [...new Set([...node.inputs, ...node.outputs])];
    const last = names.filter((name) => name !== '' && !seen.has(name));
    for (const name of last) seen.add(name);
    steps.push({ node, kernel: kernelOf(node), last });
  }
  return steps.reverse();
}
