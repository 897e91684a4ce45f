import { type Command, Option } from 'commander';

type Run = (...args: never[]) => Promise<number>;
type Action = (...args: unknown[]) => Promise<void>;

/** Declares actions whose module is loaded only when they are called: `--help` must not wait for onnxruntime. */
export type Declare = <M>(load: () => Promise<M>, pick: (module: M) => Run) => Action;

/** `done` receives the exit code of the command that ran. */
export function declareWith(done: (code: number) => void): Declare {
  return (load, pick) =>
    async (...args) => {
      const command = args.at(-1) as Command;
      const run = pick(await load()) as (...args: unknown[]) => Promise<number>;
      done(await run(...args.slice(0, -2), command.optsWithGlobals()));
    };
}

/** For options that may be given several times, or with commas. */
export const list = (value: string, previous: string[] = []): string[] => [
  ...previous,
  ...value.split(',').filter(Boolean),
];

export const json = (): Option => new Option('--json', 'print one JSON document to stdout');
