import { reasonOf, VersusError } from '../core/errors.ts';
import type { LoraSpec } from '../transform/lora-targets.ts';
import { realNumber, wholeNumber } from './numbers.ts';

/** PEFT's defaults. */
const DEFAULTS = { r: 8, alpha: 8 };
/** No layer is as wide, so no rank is of use. */
const LARGEST = 1 << 20;
const KEYS = ['r', 'alpha', 'dropout', 'targets'] as const;

/**
 * `--lora`: settings with commas between them, `r=8,alpha=16,targets=q_proj,v_proj`. What follows a comma and is no setting
 * goes on the list before it, so target names need no other separator; `|` and `+` are, too. `targets=/…/` is a pattern for whole
 * names of modules (which may hold commas, and `/` as `\/`), `targets=all-linear` every linear layer but the output's.
 * @throws VersusError `usage` that says what is expected
 */
export function loraOption(text: string): LoraSpec {
  const settings = new Map<string, string[]>();
  let key: string | undefined;
  for (const piece of pieces(text)) {
    const [, name, value] = /^\s*(\w+)\s*=(.*)$/s.exec(piece) ?? [];
    if (name !== undefined) {
      if (!KEYS.includes(name as (typeof KEYS)[number])) throw wrong(`unknown setting '${name}'`);
      if (settings.has(name)) throw wrong(`'${name}' is there twice`);
      key = name;
    } else if (key !== 'targets') throw wrong(`'${piece}' is no setting`);
    settings.set(key!, [...(settings.get(key!) ?? []), (value ?? piece).trim()]);
  }
  const number = (name: 'r' | 'alpha'): number => {
    const value = settings.get(name)?.[0];
    if (value === undefined) return DEFAULTS[name];
    const whole = wholeNumber(`--lora ${name}`, value);
    if (whole > LARGEST) throw wrong(`${name} can be ${LARGEST} at most, it is ${value}`);
    return whole;
  };
  const [dropout] = settings.get('dropout') ?? [];
  return {
    ...{ r: number('r'), alpha: number('alpha'), targets: targetsOf(settings.get('targets') ?? []) },
    ...(dropout !== undefined && { dropout: realNumber('--lora dropout', dropout, { below: 1 }) }),
  };
}

/** Cut at commas outside a `/…/`. */
function pieces(text: string): string[] {
  return text.match(/(?:targets\s*=\s*\/(?:\\.|[^\\/])*\/|[^,])+/gs) ?? [];
}

function targetsOf(values: readonly string[]): LoraSpec['targets'] {
  const [first = ''] = values;
  const pattern = /^\/(.*)\/$/s.exec(first)?.[1];
  if (pattern !== undefined && values.length === 1) {
    try {
      return new RegExp(pattern);
    } catch (error) {
      throw wrong(reasonOf(error));
    }
  }
  if (values.length === 1 && first.toLowerCase() === 'all-linear') return 'all-linear';
  const names = values
    .flatMap((value) => value.split(/[|+]/))
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw wrong('it names no targets');
  return [...new Set(names)];
}

function wrong(problem: string): VersusError {
  return new VersusError('usage', `--lora: ${problem}`, {
    next: 'its settings are r, alpha, dropout and targets, for example --lora r=8,alpha=16,targets=q_proj,v_proj or --lora r=8,targets=all-linear',
  });
}
