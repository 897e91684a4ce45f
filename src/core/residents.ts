import type { Resident } from './backend.ts';
import { VersusError } from './errors.ts';
import { bytesPerElement, type DType, elementCount } from './tensor.ts';

/** Element type and shape of what is held; a backend's own tensors usually have both. */
export interface Held {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

interface Entry {
  readonly native: unknown;
  free(): void;
  /** Why it is of no use any more; null while it is. */
  gone: string | null;
}

/** Every resident of this process. Weak, so that a handle that nobody has keeps nothing alive here. */
const entries = new WeakMap<Resident, Entry>();

/**
 * The residents that one session made: which tensor of the runtime each stands for, who may use it, and what all of them hold.
 * `N` is the runtime's own tensor; it never leaves the backend.
 */
export class ResidentStore<N> {
  readonly #backend: string;
  readonly #where: string;
  readonly #alive = new Set<Entry>();
  #bytes = 0;
  #closed = false;

  /**
   * @param backend name of the backend: its sessions take each other's residents
   * @param where what errors name, e.g. model and graph
   */
  constructor(backend: string, where: string) {
    this.#backend = backend;
    this.#where = where;
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A handle for a tensor of the runtime.
   *
   * @param free gives its memory back; called once, on dispose or when the session closes
   * @throws VersusError `infrastructure` when the session is closed; the tensor is freed then
   */
  hold(native: N, { dtype, shape }: Held, free: () => void): Resident {
    if (this.#closed) {
      free();
      throw new VersusError('infrastructure', 'the session is closed', { where: this.#where });
    }
    const bytes = bytesPerElement(dtype) * elementCount(shape);
    const alive = this.#alive;
    const entry: Entry = {
      native,
      gone: null,
      free: () => {
        alive.delete(entry);
        this.#bytes -= bytes;
        free();
      },
    };
    alive.add(entry);
    this.#bytes += bytes;
    const resident: Resident = {
      dtype,
      shape: [...shape],
      backend: this.#backend,
      get alive() {
        return entry.gone === null;
      },
      dispose() {
        if (entry.gone !== null) return;
        entry.gone = 'it was disposed of';
        entry.free();
      },
    };
    entries.set(resident, entry);
    return resident;
  }

  /**
   * The runtime's tensor behind a resident of this or another session of the same backend.
   *
   * @param what names it in errors, e.g. `input 'past'`
   * @throws VersusError `input` for one that is disposed of, whose session is closed, or that is another backend's
   */
  native(resident: Resident, what: string): N {
    const entry = entries.get(resident);
    if (entry === undefined || resident.backend !== this.#backend) {
      throw new VersusError(
        'input',
        `${what} is a tensor on ${resident.backend}, which ${this.#backend} cannot read`,
        { where: this.#where, next: 'read it with the session that made it, and feed the tensor' },
      );
    }
    if (entry.gone !== null) {
      throw new VersusError('input', `${what} is a tensor that is gone: ${entry.gone}`, {
        where: this.#where,
        next: 'dispose of residents after their last use, and close sessions after that',
      });
    }
    return entry.native as N;
  }

  /** Frees all that is alive and refuses to hold more. */
  close(): void {
    this.#closed = true;
    for (const entry of [...this.#alive]) {
      entry.gone = 'the session that made it was closed';
      entry.free();
    }
  }
}
