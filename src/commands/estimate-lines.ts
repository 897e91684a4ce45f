import { markdownTable } from 'markdown-table';
import { number, quantity } from '../report/format.ts';
import type { EstimateResult } from './estimate.ts';

const bytes = (value: number): string => quantity(value, 'B');

/** An estimate as a person reads it. */
export function estimateLines(result: EstimateResult): string[] {
  const { request, weight_bytes: weights } = result;
  return [
    `${result.model}  (${result.family}, ${result.task}): an estimate, nothing was run`,
    `  parameters  ${result.parameters.toLocaleString('en')}`,
    `  weights     ${Object.entries(weights)
      .map(([stored, size]) => `${stored} ${bytes(size)}`)
      .join(' · ')}`,
    ...(result.cache_bytes_per_token === null
      ? []
      : [`  KV cache    ${bytes(result.cache_bytes_per_token)} per token`]),
    `  request     ${requestText(request)}`,
    '',
    phaseTable(result),
    '',
    'Least time per device (roofline; launches, poor shapes and transfers come on top):',
    '',
    deviceTable(result),
    ...(result.training === null ? [] : ['', ...trainingLines(result.training, result)]),
  ];
}

function requestText({
  batch,
  context,
  image_tokens,
  new_tokens,
  precision,
  resolution,
}: EstimateResult['request']) {
  const parts = [`batch ${batch}`, precision];
  if (resolution !== null) parts.push(`${resolution} px`);
  if (context !== null) {
    const images = image_tokens > 0 ? ` (${image_tokens} of an image)` : '';
    parts.push(`${context} tokens${images}, then ${new_tokens} new ones`);
  }
  return parts.join(', ');
}

/** What is done is the same everywhere; bytes are those of the first device. */
function phaseTable({ devices }: EstimateResult): string {
  return markdownTable([
    ['phase', 'MACs', 'bytes moved', 'MACs per byte'],
    ...devices[0]!.phases.map(({ name, macs, bytes: moved }) => [
      name === 'decode' ? 'decode, one token' : name,
      quantity(macs, 'MACs'),
      bytes(moved),
      number(macs / moved),
    ]),
  ]);
}

function deviceTable({ devices }: EstimateResult): string {
  const names = devices[0]!.phases.map((p) => p.name);
  const generates = names.includes('decode');
  return markdownTable([
    ['device', 'peak memory', 'fits', ...names, ...(generates ? ['tokens/s'] : []), 'request'],
    ...devices.map((d) => {
      const decode = d.phases.find((p) => p.name === 'decode');
      return [
        d.label,
        bytes(d.memory.peak),
        d.fits ? 'yes' : `no: it has ${bytes(d.memory_bytes)}`,
        ...d.phases.map((p) => time(p.seconds)),
        ...(decode ? [number(decode.items / decode.seconds)] : []),
        time(d.seconds),
      ];
    }),
  ]);
}

const time = (seconds: number): string =>
  seconds >= 1 ? `${number(seconds)} s` : `${number(seconds * 1e3)} ms`;

function trainingLines(
  { how, scope, optimiser, memory }: NonNullable<EstimateResult['training']>,
  { parameters }: EstimateResult,
): string[] {
  const share = (100 * memory.trainable) / parameters;
  const learning = `${memory.trainable.toLocaleString('en')} numbers learn, ${number(share)}% of the model`;
  const { weights, frozen, gradients, optimiser: states, activations, transient, arena, peak } = memory;
  return [
    `One training step (${how}, scope ${scope}, ${optimiser}): ${learning}`,
    '',
    markdownTable([
      ['weights', 'frozen', 'gradients', 'optimiser', 'activations', 'transient', 'arena', 'peak'],
      [weights, frozen, gradients, states, activations, transient, arena, peak].map(bytes),
    ]),
    '',
    '  as onnxruntime’s CPU would hold the step that versus train runs: what lives at once at its widest moment',
  ];
}
