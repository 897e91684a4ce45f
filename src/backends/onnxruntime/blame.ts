import { VersusError } from '../../core/errors.ts';
import type { Graph, Node } from '../../core/graph.ts';
import type { Artifact } from '../../core/model.ts';

/** Before this operator set operands were broadcast by attributes; onnxruntime promises nothing of older ones. */
const OLDEST = 7;
const OPERATOR = /(?:operator|implementation of|this use of) (?:([\w.]+):)?(\w+)/;

/**
 * What the runtime leaves out when it refuses a file: which node has the operator that it lacks, and the operator set that the
 * file declares. Any other error is handed on as it is.
 */
export async function blamed(error: unknown, artifact: Artifact): Promise<unknown> {
  if (!(error instanceof VersusError) || error.kind !== 'unsupported') return error;
  const graph = await artifact.graph().catch(() => null);
  if (!graph) return error;
  const named = / node ([^,]*)$/.exec(error.where ?? '')?.[1];
  const node = nodeOf(graph, error.message, named);
  const opset = graph.opset[node?.domain ?? ''];
  if (!node || opset === undefined) return error;
  const old =
    !node.domain && opset < OLDEST ? `, older than onnxruntime promises to run (from ${OLDEST})` : '';
  const version = `${node.domain ? `${node.domain} ` : 'opset '}${opset}`;
  const told = error.message.includes(`(opset ${opset})`);
  const place = `node ${node.name || node.outputs[0]}`;
  return new VersusError(
    error.kind,
    told && !old ? error.message : `${error.message}; the file is of ${version}${old}`,
    {
      where: named === undefined ? `${error.where}, ${place}` : error.where!,
      ...(error.next && { next: error.next }),
      cause: error.cause,
    },
  );
}

function nodeOf(graph: Graph, message: string, named: string | undefined): Node | undefined {
  const byName = graph.nodes.find((node) => named !== undefined && node.name === named);
  if (byName) return byName;
  const [, domain = '', op] = OPERATOR.exec(message) ?? [];
  return graph.nodes.find((node) => node.op === op && (node.domain ?? '') === domain);
}
