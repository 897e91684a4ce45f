import { VersusError } from '../../core/errors.ts';
import type { Attribute, Node } from '../../core/graph.ts';
import { decodeTensor } from './tensor.ts';
import { bytes, float, floats, integer, integers, readMessage, text } from './wire.ts';

const MAX_EDGES = 100_000;

/** AttributeProto.AttributeType of onnx.proto. */
export const AttributeType = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
} as const;

/** Reads one NodeProto; `subgraph` reads the graphs of If, Loop and Scan. */
export function decodeNode(message: Uint8Array, subgraph: (body: Uint8Array) => Attribute): Node {
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: Uint8Array[] = [];
  let name = '';
  let op = '';
  let domain = '';
  const limited =
    <T>(list: T[]) =>
    (value: T): void => {
      if (list.push(value) > MAX_EDGES)
        throw new VersusError('input', `node ${name} has more than ${MAX_EDGES} entries`);
    };
  readMessage(message, {
    1: text(limited(inputs)),
    2: text(limited(outputs)),
    3: text((v) => {
      name = v;
    }),
    4: text((v) => {
      op = v;
    }),
    5: bytes(limited(attributes)),
    7: text((v) => {
      domain = v === 'ai.onnx' ? '' : v;
    }),
  });
  const attrs: Record<string, Attribute> = {};
  const floating: string[] = [];
  for (const body of attributes) {
    const a = decodeAttribute(body, subgraph, `node ${name || op}`);
    if (a.name === '' || a.name === '__proto__' || Object.hasOwn(attrs, a.name)) {
      throw new VersusError(
        'input',
        `attribute ${a.name || '(unnamed)'} is declared twice or has no proper name`,
        {
          where: `node ${name || op}`,
        },
      );
    }
    if (a.value === undefined) continue;
    attrs[a.name] = a.value;
    if (a.float) floating.push(a.name);
  }
  // Trailing empty names are inputs that are left out: the same as none.
  while (inputs.at(-1) === '') inputs.pop();
  return {
    op,
    ...(domain !== '' && { domain }),
    name,
    inputs,
    outputs,
    attrs,
    ...(floating.length > 0 && { floats: floating }),
  };
}

interface DecodedAttribute {
  readonly name: string;
  /** Undefined for an empty list of strings, which means the default. */
  readonly value: Attribute | undefined;
  readonly float: boolean;
}

function decodeAttribute(
  message: Uint8Array,
  subgraph: (body: Uint8Array) => Attribute,
  where: string,
): DecodedAttribute {
  let name = '';
  let type = 0;
  let single = 0;
  let whole = 0n;
  let string: Uint8Array = new Uint8Array();
  let tensor: Uint8Array | undefined;
  let graph: Uint8Array | undefined;
  const floating: number[] = [];
  const wholes: bigint[] = [];
  const strings: Uint8Array[] = [];
  const present = new Set<number>();
  const at =
    <T>(kind: number, set: (value: T) => void) =>
    (value: T): void => {
      present.add(kind);
      set(value);
    };
  const fail = (kind: 'input' | 'unsupported', problem: string): never => {
    throw new VersusError(kind, `attribute ${name}: ${problem}`, { where });
  };
  readMessage(message, {
    1: text((v) => {
      name = v;
    }),
    2: float(
      at(AttributeType.FLOAT, (v) => {
        single = v;
      }),
    ),
    3: integer(
      at(AttributeType.INT, (v) => {
        whole = v;
      }),
    ),
    4: bytes(
      at(AttributeType.STRING, (v) => {
        string = v;
      }),
    ),
    5: bytes(
      at(AttributeType.TENSOR, (v) => {
        tensor = v;
      }),
    ),
    6: bytes(
      at(AttributeType.GRAPH, (v) => {
        graph = v;
      }),
    ),
    7: floats(at(AttributeType.FLOATS, (v) => floating.push(v))),
    8: integers(at(AttributeType.INTS, (v) => wholes.push(v))),
    9: bytes(at(AttributeType.STRINGS, (v) => strings.push(v))),
    20: integer((v) => {
      type = Number(v);
    }),
    21: text((v) => {
      if (v !== '') fail('unsupported', 'references to function attributes are not supported');
    }),
  });
  // Files of IR version 1 leave the type to be guessed from the one field that is there.
  if (type === 0 && present.size === 1) type = [...present][0]!;
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  const done = (value: Attribute | undefined, isFloat = false): DecodedAttribute => ({
    name,
    value,
    float: isFloat,
  });
  switch (type) {
    case AttributeType.FLOAT:
      return done(single, true);
    case AttributeType.INT:
      return done(Number.isSafeInteger(Number(whole)) ? Number(whole) : whole);
    case AttributeType.STRING:
      return done(utf8.decode(string));
    case AttributeType.TENSOR: {
      const t = decodeTensor(tensor ?? fail('input', 'it has no tensor'));
      if (!t.data) return fail('unsupported', 'external data in an attribute are not supported');
      return done({ kind: 'tensor', dtype: t.dtype, shape: t.shape, data: t.data });
    }
    case AttributeType.GRAPH:
      return done(subgraph(graph ?? fail('input', 'it has no graph')));
    case AttributeType.FLOATS:
      return done(floating, true);
    case AttributeType.INTS:
      return done(wholes.map((v) => wholeNumber(v) ?? fail('unsupported', `${v} is too large`)));
    case AttributeType.STRINGS:
      return done(strings.length === 0 ? undefined : strings.map((s) => utf8.decode(s)));
    default:
      return fail('unsupported', `attributes of type ${type} are not supported`);
  }
}

/** The ends of the int64 range mean "to the end" (Slice) and become ±2^63, which the encoder clamps back. */
function wholeNumber(value: bigint): number | undefined {
  const n = Number(value);
  const extreme = value === 2n ** 63n - 1n || value === -(2n ** 63n);
  return Number.isSafeInteger(n) || extreme ? n : undefined;
}
