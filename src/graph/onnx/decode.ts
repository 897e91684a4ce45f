import { reasonOf, VersusError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import { UNKNOWN_RANK } from '../dims.ts';
import { inferTypes } from '../infer.ts';
import { validateGraph } from '../validate.ts';
import { decodeGraph } from './decode-graph.ts';
import type { ExternalRange } from './tensor.ts';
import { bytes, integer, readMessage, text } from './wire.ts';

/** A ModelProto: the graph, where parameters without `data` lie, and the free-form properties of the file. */
export interface DecodedModel {
  readonly graph: Graph;
  readonly external: ReadonlyMap<string, ExternalRange>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Reads an ONNX model from memory. Parameters whose data are external have no `data`: `openOnnx` resolves them.
 * Safe on hostile bytes: nothing is allocated before its size is checked against the bytes that are there.
 *
 * @throws VersusError `input` for anything that is not a valid model, `unsupported` for sparse tensors, strings, model-local
 * functions and other parts of ONNX that Versus doesn't handle
 */
export function decodeOnnx(model: Uint8Array): Graph {
  return decodeModel(model).graph;
}

/** `decodeOnnx` with everything that a `Graph` has no place for. `where` is named in errors. */
export function decodeModel(model: Uint8Array, where = 'ONNX model'): DecodedModel {
  try {
    return decode(model);
  } catch (error) {
    if (error instanceof VersusError) {
      throw new VersusError(error.kind, error.message, {
        where: error.where ? `${where}, ${error.where}` : where,
        ...(error.next && { next: error.next }),
        cause: error,
      });
    }
    throw new VersusError('input', `not a readable ONNX file: ${reasonOf(error)}`, { where, cause: error });
  }
}

function decode(model: Uint8Array): DecodedModel {
  let body: Uint8Array | undefined;
  const opset: Record<string, number> = {};
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  const refuse = (what: string) => (): never => {
    throw new VersusError('unsupported', `${what} are not supported`);
  };
  readMessage(model, {
    7: bytes((v) => {
      if (body) throw new VersusError('input', 'it holds two graphs');
      body = v;
    }),
    8: bytes((v) => {
      const { domain, version } = decodeOpset(v);
      opset[domain] = version;
    }),
    14: bytes((v) => {
      let key = '';
      readMessage(v, {
        1: text((k) => {
          key = k;
        }),
        2: text((value) => {
          metadata[key] = value;
        }),
      });
    }),
    20: bytes(refuse('training graphs (training_info)')),
    25: bytes(refuse('model-local functions')),
  });
  if (!body) throw new VersusError('input', 'it holds no graph');
  if (Object.keys(opset).length === 0) throw new VersusError('input', 'it declares no operator set');
  const { graph, external } = decodeGraph(body, opset);
  validateGraph(graph);
  return { graph: withOutputShapes(graph), external, metadata };
}

function decodeOpset(message: Uint8Array): { domain: string; version: number } {
  let domain = '';
  let version = 0n;
  readMessage(message, {
    1: text((v) => {
      domain = v === 'ai.onnx' ? '' : v;
    }),
    2: integer((v) => {
      version = v;
    }),
  });
  if (version < 1n || version > 1000n)
    throw new VersusError('input', `operator set ${domain} has version ${version}`);
  if (domain === '__proto__') throw new VersusError('input', 'an operator set has no proper name');
  return { domain, version: Number(version) };
}

/** Some exporters leave the outputs' shapes out; they follow from the inputs'. */
function withOutputShapes(graph: Graph): Graph {
  if (!graph.outputs.some((o) => o.shape[0] === UNKNOWN_RANK)) return graph;
  const { types } = inferTypes(graph, {});
  const outputs = graph.outputs.map((o) => {
    const shape = types.get(o.name)?.shape;
    return o.shape[0] === UNKNOWN_RANK && shape ? { ...o, shape } : o;
  });
  return { ...graph, outputs };
}
