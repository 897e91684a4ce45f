import { type ErrorDetail, type ErrorKind, reasonOf, VersusError } from '../../core/errors.ts';
import { fixFor, type Provider } from './provider.ts';

interface Rule {
  readonly pattern: RegExp;
  readonly kind: ErrorKind;
  readonly say: (m: RegExpExecArray, provider: Provider) => string;
  /** Capture group that holds the node's name. */
  readonly node?: number;
  readonly next?: string | ((provider: Provider) => string | null);
}

const OTHER_BACKEND = 'run it on another backend, or export the model without this operator';

/** What the runtime says (1.30) → what the person has to know. The first rule that matches counts. */
const RULES: readonly Rule[] = [
  {
    pattern: /In Node, \("([^"]*)", ([^,]+), .*No Op registered for \S+ with domain_version of (\d+)/,
    kind: 'unsupported',
    say: (m, p) => `operator ${m[2]} (opset ${m[3]}) is not supported by onnxruntime-${p}`,
    node: 1,
    next: OTHER_BACKEND,
  },
  {
    pattern: /(\S+?)\(-?\d+\) is not a registered function\/op/,
    kind: 'unsupported',
    say: (m, p) => `operator ${m[1]} is not supported by onnxruntime-${p}`,
    next: OTHER_BACKEND,
  },
  {
    pattern: /Could not find an implementation for (\w+)\((\d+)\) node with name '([^']*)'/,
    kind: 'unsupported',
    say: (m, p) =>
      `onnxruntime-${p} has no implementation of ${m[1]} (opset ${m[2]}) for these element types`,
    node: 3,
    next: OTHER_BACKEND,
  },
  {
    pattern: /Provider type for (\w+) node with name '([^']*)' is not set/,
    kind: 'unsupported',
    say: (m, p) => `onnxruntime-${p} has no implementation of ${m[1]} for these element types`,
    node: 2,
    next: OTHER_BACKEND,
  },
  {
    pattern:
      /Type '(tensor\(\w+\))' of input parameter \(([^)]*)\) of operator \((\w+)\) in node \(([^)]*)\)/,
    kind: 'unsupported',
    say: (m) => `operator ${m[3]} does not take ${m[1]} as input '${m[2]}'`,
    node: 4,
    next: OTHER_BACKEND,
  },
  {
    // The JavaScript binding knows fewer element types than the runtime behind it.
    pattern: /Unsupported data type: (\d+)/,
    kind: 'unsupported',
    say: (m, p) => `onnxruntime-${p} takes and gives no tensors of element type ${m[1]} (ONNX's number)`,
    next: OTHER_BACKEND,
  },
  {
    pattern: /Exception during initialization: (.*not supported.*)/s,
    kind: 'unsupported',
    say: (m, p) => `onnxruntime-${p} lacks this use of an operator: ${tidy(m[1] ?? '')}`,
    next: OTHER_BACKEND,
  },
  {
    pattern: /Opset (\d+) is under development.*?for domain (\S+) is till opset (\d+)/s,
    kind: 'unsupported',
    say: (m, p) =>
      `${m[2] === 'ai.onnx' ? 'opset' : `opset of ${m[2]}`} ${m[1]} is newer than onnxruntime-${p} supports (up to ${m[3]})`,
    next: 'export the model with an older opset, e.g. 17',
  },
  {
    pattern: /In Node, \("([^"]*)", ([^,]+), .*No opset import for domain '([^']*)'/,
    kind: 'input',
    say: (m) => `operator ${m[3]}:${m[2]} is of a domain for which the file declares no operator set`,
    node: 1,
    next: 'export the model again, or add the domain to its opset_import',
  },
  {
    pattern: /Unsupported model IR version: (\d+), max supported IR version: (\d+)/,
    kind: 'unsupported',
    say: (m) => `ONNX IR version ${m[1]} is newer than the runtime supports (${m[2]})`,
    next: 'export the model with an older IR version',
  },
  {
    pattern: /assigned to the default CPU EP, but fallback to CPU EP has been explicitly disabled/,
    kind: 'unsupported',
    say: (_m, p) =>
      `some operators of the graph do not run on ${p}, and falling back to the CPU is switched off`,
    next: 'leave out `strict` and see placement() for the operators',
  },
  {
    pattern: /bad_alloc|out of memory|Failed to allocate memory|Not enough memory|OutOfMemory/i,
    kind: 'infrastructure',
    say: (_m, p) => `onnxruntime-${p} is out of memory`,
    next: 'use a smaller batch, or a smaller model',
  },
  {
    pattern: /Failed to get a WebGPU adapter|Failed to get a WebGPU device/,
    kind: 'infrastructure',
    say: () => 'no WebGPU adapter: the machine has no Vulkan (Direct3D, Metal) driver that works',
    next: fixFor,
  },
  {
    pattern: /Failed to load shared library|no available backend found|cannot open shared object file/,
    kind: 'infrastructure',
    say: (_m, p) => `the ${p} provider is not installed or does not load`,
    next: fixFor,
  },
  {
    pattern:
      /protobuf parsing failed|Model data pointer is null|INVALID_PROTOBUF|No graph was found in the protobuf/i,
    kind: 'input',
    say: () => 'not an ONNX model: the file is corrupt, truncated or of another format',
    next: 'export or download it again',
  },
  {
    pattern: /File doesn't exist|No such file or directory/i,
    kind: 'input',
    say: () => 'the model file or its external data does not exist',
  },
  {
    pattern:
      /while running (\w+) node\. Name:'([^']*)' Status Message: (.*(?:not supported|unsupported|not implemented).*)/is,
    kind: 'unsupported',
    say: (m, p) => `onnxruntime-${p} lacks this use of ${m[1]}: ${tidy(m[3] ?? '')}`,
    node: 2,
    next: OTHER_BACKEND,
  },
  {
    pattern: /while running (\w+) node\. Name:'([^']*)' Status Message: (.*)/s,
    kind: 'input',
    say: (m) => `operator ${m[1]} failed: ${tidy(m[3] ?? '')}`,
    node: 2,
  },
  {
    pattern: /"([^"]*)" is not a valid output name/,
    kind: 'input',
    say: (m) => `the graph has no output '${m[1]}' to keep`,
  },
  {
    pattern: /Tensor\.location is not supported|Tensor\.gpuBuffer (?:has been disposed|must be an external)/,
    kind: 'input',
    say: () => 'a tensor on the GPU was disposed of before the run that reads it had ended',
    next: 'dispose of residents after the run that they are fed to',
  },
  {
    pattern:
      /WebGPU EP has an unrecognized option: '([^']*)'|Invalid (preferred layout|validation mode)[^:]*: (.*)/,
    kind: 'usage',
    say: (m) =>
      m[1] ? `onnxruntime-webgpu has no option ${m[1]}` : `there is no ${m[2]} ${tidy(m[3] ?? '')}`,
    next: "correct `provider` of onnxruntime('webgpu', { provider: … })",
  },
  {
    pattern: /Got invalid dimensions for input|Unexpected input data type|Invalid rank for input/,
    kind: 'input',
    say: (m) => tidy(m.input),
  },
  {
    pattern:
      /invalid model|Invalid model|INVALID_GRAPH|external data|Unsupported data type|not a tensor|element type/i,
    kind: 'input',
    say: (m) => `the graph is not valid: ${tidy(m.input)}`,
    next: 'export the model again',
  },
];

/** Turns what the native runtime threw into an error that names operator, node and next step. */
export function explain(error: unknown, provider: Provider, where: string): VersusError {
  if (error instanceof VersusError) return error;
  const text = error instanceof Error ? error.message : String(error);
  for (const rule of RULES) {
    const match = rule.pattern.exec(text);
    if (match === null) continue;
    const node = rule.node === undefined ? '' : (match[rule.node] ?? '');
    const next = typeof rule.next === 'function' ? rule.next(provider) : rule.next;
    const detail: ErrorDetail = { where: node === '' ? where : `${where}, node ${node}`, cause: error };
    if (next) detail.next = next;
    return new VersusError(rule.kind, rule.say(match, provider), detail);
  }
  return new VersusError('infrastructure', `onnxruntime-${provider}: ${tidy(reasonOf(error))}`, {
    where,
    cause: error,
  });
}

/** One line without the C++ source positions and signatures that the runtime prefixes. */
function tidy(text: string): string {
  const line = text
    .replace(/\/onnxruntime_src\/\S+\s+.*?\)(?: const)? (?=[A-Z!\w])/gs, '')
    .replace(/\/?[\w/]+\.(?:cc|h):\d+ \S+ /g, '')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > 400 ? `${line.slice(0, 400)}…` : line;
}
