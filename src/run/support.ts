import type { Config } from '../core/config.ts';
import type { Case } from '../core/record.ts';
import type { ConfigAddress } from './protocol.ts';
import { type Ending, type Supervision, supervise } from './supervise.ts';

/** Completes what is said of a case that its backend does not support, with the backends that do. */
export class Support {
  readonly #config: Config;
  readonly #address: ConfigAddress;
  /** By workload, model, settings, precision and backend: other arms and batches ask the same. */
  readonly #known = new Map<string, readonly string[]>();

  constructor(config: Config, address: ConfigAddress) {
    this.#config = config;
    this.#address = address;
  }

  /**
   * The ending with the names of backends that take the graph; other endings as they are. They are tried in a process of
   * its own, because a backend that crashes at the attempt must not cost the reason that is known.
   */
  async complete(of: Case, ending: Ending, supervision: Supervision): Promise<Ending> {
    if (ending.status !== 'unsupported' || ending.reason === null) return ending;
    const key = `${of.workload} ${of.model} ${of.settings ?? ''} ${of.precision} ${of.backend}`;
    const names = this.#known.get(key) ?? (await this.#ask(of, supervision));
    this.#known.set(key, names);
    return names.length === 0
      ? ending
      : { ...ending, reason: `${ending.reason}; backends here that support it: ${names.join(', ')}` };
  }

  async #ask(of: Case, supervision: Supervision): Promise<readonly string[]> {
    const names: string[] = [];
    const backends = this.#config.backends.map(({ name }) => name).filter((name) => name !== of.backend);
    await supervise(
      { kind: 'support', config: this.#address, case: of, backends },
      {
        ...supervision,
        onMessage: (message) => {
          if (message.type === 'supports') names.push(message.backend);
        },
      },
    );
    return names;
  }
}
