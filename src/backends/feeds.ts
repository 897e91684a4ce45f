import type { Feeds } from '../core/backend.ts';
import { VersusError } from '../core/errors.ts';
import type { ValueInfo } from '../core/graph.ts';

/**
 * Checks what is fed against what the graph declares: names, element types, ranks, fixed dimensions, lengths. Cheap enough
 * for every call (well under a microsecond per input); the runtime's own messages name neither the tensor nor the fix.
 *
 * @throws VersusError `input`
 */
export function checkFeeds(where: string, inputs: readonly ValueInfo[], feeds: Feeds): void {
  for (const input of inputs) {
    const fed = feeds[input.name];
    if (fed === undefined) throw missing(where, inputs, feeds, input);
    if (fed.dtype !== input.dtype) {
      throw new VersusError('input', `input '${input.name}' wants ${input.dtype}, got ${fed.dtype}`, {
        where,
      });
    }
    let fits = fed.shape.length === input.shape.length;
    let count = 1;
    for (let i = 0; fits && i < input.shape.length; i++) {
      const want = input.shape[i];
      count *= fed.shape[i]!;
      fits = typeof want === 'string' || want === fed.shape[i];
    }
    if (!fits) {
      throw new VersusError(
        'input',
        `input '${input.name}' wants shape [${input.shape.join(', ')}], got [${fed.shape.join(', ')}]`,
        { where },
      );
    }
    if ('data' in fed && fed.data.length !== count) {
      throw new VersusError(
        'input',
        `input '${input.name}' of shape [${fed.shape.join(', ')}] wants ${count} elements, got ${fed.data.length}`,
        { where },
      );
    }
  }
  for (const name in feeds) {
    if (!inputs.some((input) => input.name === name)) {
      throw new VersusError('input', `the graph has no input '${name}'`, {
        where,
        next: `feed ${inputs.map((i) => i.name).join(', ') || 'nothing'}`,
      });
    }
  }
}

/** @throws VersusError `input` when an output is asked for that the graph lacks, or none at all. */
export function checkFetch(where: string, outputs: readonly ValueInfo[], fetch: readonly string[]): void {
  const unknown = fetch.find((name) => !outputs.some((output) => output.name === name));
  if (unknown !== undefined || fetch.length === 0) {
    throw new VersusError(
      'input',
      unknown === undefined ? 'no output is asked for' : `the graph has no output '${unknown}'`,
      { where, next: `fetch some of ${outputs.map((o) => o.name).join(', ')}` },
    );
  }
}

function missing(where: string, inputs: readonly ValueInfo[], feeds: Feeds, input: ValueInfo): VersusError {
  const fed = Object.keys(feeds);
  const absent = inputs.filter((i) => feeds[i.name] === undefined).map((i) => i.name);
  return new VersusError('input', `input '${input.name}' is missing`, {
    where,
    next: `feed ${absent.join(', ')} too (fed: ${fed.join(', ') || 'nothing'})`,
  });
}
