import type { NodeTime, Placement } from '../../core/backend.ts';
import { reasonOf, VersusError } from '../../core/errors.ts';
import type { Graph, Node, Param } from '../../core/graph.ts';
import type { Tensor } from '../../core/tensor.ts';
import { constants } from './constants.ts';
import { isAway, onto } from './download.ts';
import type { Engine } from './engine.ts';
import { type Common, Fixed } from './fixed.ts';
import { computedOnHost, leftToHost, onHost } from './host.ts';
import { type Made, ran } from './kernels/kernel.ts';
import type { Weights } from './prepare.ts';
import { type Step, stepsFor } from './steps.ts';
import { lacking } from './support.ts';
import { NodeTimer } from './timer.ts';
import { dispose, type Value } from './value.ts';

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
    opset: number,
    values: ReadonlyMap<string, Value>,
    engine: Engine,
    timer: NodeTimer | null,
  ) {
    this.graph = graph;
    this.engine = engine;
    this.opset = opset;
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
    numbers: Pick<Weights, 'read' | 'borrow'>,
    engine: Engine,
    timed: boolean,
    params: Param[] = [...graph.params],
  ): Promise<Executor> {
    const opset = graph.opset[''] ?? graph.opset['ai.onnx'] ?? 17;
    const values = await constants(graph, params, numbers, engine, opset);
    return new Executor(graph, opset, values, engine, timed ? new NodeTimer(engine) : null);
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
    const common = this.fixed.of(feeds);
    const values = new Map<string, Value>();
    for (const [name, fed] of Object.entries(feeds)) {
      values.set(name, 'data' in fed ? { dtype: fed.dtype, shape: fed.shape, fixed: false, host: fed } : fed);
    }
    const lent = new Set(Object.values(feeds));
    const pass: Pass = { values, common, lent };
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
        const pending = this.step(step, pass);
        if (pending) await pending;
        for (const name of step.last) release(name);
      }
      for (const name of fetch) {
        const value = this.value(values, name);
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

  /** Computes one node; asynchronous only where something has to come to the host first. */
  private step(step: Step, pass: Pass): void | Promise<void> {
    const { node } = step;
    const { values, common } = pass;
    const isSettled = common.onEngine.has(step);
    if (!isSettled && allKnown(node, common.values)) {
      for (const name of node.outputs) if (name !== '') values.set(name, common.values.get(name)!);
      return;
    }
    const inputs: (Value | undefined)[] = [];
    for (const name of node.inputs) inputs.push(name === '' ? undefined : this.value(values, name));
    if (!isSettled && (this.timer || this.waits(step, inputs))) return this.stepLater(step, inputs, pass);
    let made: readonly Made[];
    try {
      made = isSettled ? this.onEngine(step, inputs, pass) : this.compute(step, inputs, pass);
    } catch (error) {
      throw this.explained(error, node);
    }
    this.keep(step, inputs, made, pass);
  }

  private async stepLater(step: Step, inputs: readonly (Value | undefined)[], pass: Pass): Promise<void> {
    const compute = async (): Promise<readonly Made[]> => {
      const missing = step.isShape ? [] : this.isHost(step, inputs) ? inputs : this.wanting(step, inputs);
      for (const value of missing) await onto(this.engine, value);
      return this.compute(step, inputs, pass);
    };
    let made: readonly Made[];
    try {
      made = await (this.timer ? this.timer.timed(step.node, inputs, compute) : compute());
    } catch (error) {
      throw this.explained(error, step.node);
    }
    this.keep(step, inputs, made, pass);
  }

  /** Whether a node needs something on the host that is not there yet. */
  private waits(step: Step, inputs: readonly (Value | undefined)[]): boolean {
    if (this.wanting(step, inputs).some(isAway)) return true;
    return !step.isShape && inputs.some(isAway) && this.isHost(step, inputs);
  }

  private wanting({ kernel }: Step, inputs: readonly (Value | undefined)[]): readonly (Value | undefined)[] {
    return kernel?.reads ? kernel.reads.map((at) => inputs[at]) : NONE;
  }

  private isHost({ node, kernel, hasHost }: Step, inputs: readonly (Value | undefined)[]): boolean {
    return hasHost && (onHost(node, inputs) || leftToHost(node, kernel, inputs));
  }

  private compute(step: Step, inputs: readonly (Value | undefined)[], pass: Pass): readonly Made[] {
    if (this.isHost(step, inputs)) {
      this.ran.host++;
      return computedOnHost(step.node, this.opset, inputs);
    }
    const made = this.onEngine(step, inputs, pass);
    // The same shapes in the same places come here again; but what a kernel reads may then lie elsewhere, and fixed results are kept.
    if (!this.timer && !step.kernel?.reads && !inputs.every(isUnchanging)) pass.common.onEngine.add(step);
    return made;
  }

  private onEngine(step: Step, inputs: readonly (Value | undefined)[], { lent }: Pass): readonly Made[] {
    const { engine, opset } = this;
    const { node, kernel } = step;
    if (!kernel) throw new VersusError('unsupported', `on ${inputs[0]?.dtype ?? 'no input'}`);
    this.ran.engine++;
    const dies = (at: number): boolean =>
      step.last.includes(node.inputs[at]!) && !inputs[at]!.fixed && !lent.has(inputs[at]!);
    return ran({ node, opset, inputs, engine, tf: engine.tf, dies }, kernel.run);
  }

  private keep(
    { node, isShape }: Step,
    inputs: readonly (Value | undefined)[],
    made: readonly Made[],
    { values, common }: Pass,
  ): void {
    const isFixed = isShape || inputs.every(isUnchanging);
    for (let i = 0; i < Math.max(made.length, node.outputs.length); i++) {
      const name = node.outputs[i];
      // Optional outputs that nobody asked for.
      if (!name) made[i]?.device?.dispose();
      else if (!made[i]) throw this.explained(new VersusError('unsupported', `its output ${i}`), node);
      else {
        const value: Value = Object.assign(made[i]!, { fixed: isFixed });
        values.set(name, value);
        if (isFixed) common.values.set(name, value);
      }
    }
  }

  private value(values: ReadonlyMap<string, Value>, name: string): Value {
    return values.get(name) ?? this.constants.get(name) ?? missing(name, this.graph);
  }

  private stepsFor(fetch: readonly string[]): readonly Step[] {
    const key = fetch.join('\n');
    let steps = this.plans.get(key);
    if (!steps) {
      steps = stepsFor(this.graph, fetch);
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

/** What a run has of values so far. */
interface Pass {
  readonly values: Map<string, Value>;
  readonly common: Common;
  /** The caller's own. */
  readonly lent: ReadonlySet<Tensor | Value>;
}

const NONE: readonly undefined[] = [];

const isUnchanging = (value: Value | undefined): boolean => value === undefined || value.fixed;

function allKnown(node: Node, fixed: ReadonlyMap<string, Value>): boolean {
  for (const name of node.outputs) if (name !== '' && !fixed.has(name)) return false;
  return true;
}

function missing(name: string, graph: Graph): never {
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
