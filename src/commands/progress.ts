import pc from 'picocolors';
import type { RunEvent } from '../run/progress.ts';
import { say } from './context.ts';

/**
 * Draws a run's progress on stderr: one line that is rewritten on a terminal, a plain line per process elsewhere.
 * Failures and warnings are always lines of their own.
 */
export function progressPrinter(stream: NodeJS.WriteStream = process.stderr): (event: RunEvent) => void {
  const tty = Boolean(stream.isTTY);
  let shown = '';
  const clear = (): void => {
    if (tty && shown) stream.write('\r\u001b[2K');
    shown = '';
  };
  const show = (text: string): void => {
    clear();
    shown = text.slice(0, Math.max(20, (stream.columns ?? 100) - 1));
    stream.write(shown);
  };
  return (event) => {
    switch (event.type) {
      case 'planned':
        clear();
        say(`run ${event.runId}: ${event.cells.length} cases`);
        break;
      case 'begin':
        if (tty) show(`${bar(event.done, event.total)} ${eta(event.etaMs)}  ${event.phase} ${event.name}`);
        break;
      case 'end': {
        const good = event.status === 'ok' || event.status === 'correctness-only';
        if (!good) {
          clear();
          say(
            pc.red(
              `✗ ${event.phase} ${event.name}: ${event.status}${event.reason ? ` – ${event.reason}` : ''}`,
            ),
          );
        } else if (!tty) {
          const round =
            event.phase === 'speed' || event.phase === 'memory' ? ` round ${event.round + 1}` : '';
          const seconds = (event.wallMs / 1000).toFixed(1);
          say(
            `[${event.done}/${event.total}] ${event.phase}${round} ${event.name} ${seconds} s, ${eta(event.etaMs)}`,
          );
        }
        if (event.done === event.total) clear();
        break;
      }
      case 'note':
        if (tty) show(`  ${event.text}`);
        break;
      case 'warning':
        clear();
        say(pc.yellow(`! ${event.text}`));
        break;
    }
  };
}

/** `█████░░░ 5/8` */
export function bar(done: number, total: number): string {
  const width = 20;
  const full = total === 0 ? 0 : Math.round((done / total) * width);
  return `${'█'.repeat(full)}${'░'.repeat(width - full)} ${done}/${total}`;
}

/** `ETA 2 min 5 s` */
export function eta(ms: number | null): string {
  if (ms === null) return 'ETA –';
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `ETA ${seconds} s` : `ETA ${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
