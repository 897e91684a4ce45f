import { number, quantity } from '../report/format.ts';
import type { TrainingEvent, TrainingOutcome } from '../training/run.ts';
import { say } from './context.ts';
import { bar, eta } from './progress.ts';

/** Lines of a training where no terminal redraws them. */
const LINES = 20;

/** Draws a training's events on stderr: one line that is rewritten on a terminal, some twenty lines elsewhere. */
export function trainingPrinter(stream: NodeJS.WriteStream = process.stderr): (event: TrainingEvent) => void {
  const tty = Boolean(stream.isTTY);
  let began = 0;
  let first = 0;
  const clear = (): void => {
    if (tty) stream.write('\r\u001b[2K');
  };
  return (event) => {
    switch (event.type) {
      case 'opened':
        began = performance.now();
        first = event.step;
        say(`${quantity(event.trainable, '')} numbers learn, ${event.steps - event.step} steps`);
        break;
      case 'step': {
        const { step, steps, loss } = event;
        const left = ((performance.now() - began) / (step - first)) * (steps - step);
        const text = `loss ${number(loss)}  ${eta(left)}`;
        if (tty) {
          const line = `${bar(step, steps)} ${text}`;
          clear();
          stream.write(step === steps ? '' : line.slice(0, Math.max(20, (stream.columns ?? 100) - 1)));
        } else if (step === steps || step % Math.ceil(steps / LINES) === 0)
          say(`step ${step}/${steps}  ${text}`);
        break;
      }
      case 'evaluated':
        clear();
        say(`held out after step ${event.step}: ${qualityOf(event)}`);
        break;
      case 'saved':
        clear();
        say(`checkpoint ${event.path}`);
        break;
    }
  };
}

const qualityOf = ({ loss, accuracy }: TrainingOutcome['evaluations'][number]): string =>
  `loss ${number(loss)}${accuracy === null ? '' : `, right ${quantity(accuracy, 'share')}`}`;

/** A finished training as a person reads it. */
export function outcomeLines(model: string, outcome: TrainingOutcome, adapters: boolean): string[] {
  const { losses, evaluations, checkpoint, steps, stopped } = outcome;
  const [before, after] = [evaluations[0], evaluations.at(-1)];
  const folder =
    JSON.stringify(checkpoint) === `"${checkpoint}"` && !checkpoint.includes(' ')
      ? checkpoint
      : `'${checkpoint}'`;
  return [
    `${model}: ${stopped ? 'stopped after' : 'trained'} ${steps} steps, ${number(outcome.samplesPerSecond)} samples/s`,
    `  loss        ${number(losses[0]!)} → ${number(losses.at(-1)!)}`,
    ...(before && after ? [`  held out    ${qualityOf(before)} → ${qualityOf(after)} (n = ${after.n})`] : []),
    `  checkpoint  ${checkpoint}`,
    ...(adapters
      ? [
          `  use it      versus export ${model} --adapter ${folder} --out DIR`,
          `              or in Python: PeftModel.from_pretrained(model, ${JSON.stringify(checkpoint)})`,
        ]
      : [
          `  use it      versus export ${model} --weights ${folder} --out DIR, or weights: safetensors('…') in a config`,
        ]),
    ...(stopped ? [`  go on       versus train ${model} --resume ${folder}`] : []),
  ];
}
