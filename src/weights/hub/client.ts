import { setTimeout as sleep } from 'node:timers/promises';
import { reasonOf, VersusError } from '../../core/errors.ts';

const DEFAULT_ENDPOINT = 'https://huggingface.co';
/** Nothing has come for so long: the connection is dead. */
const SILENCE_MS = 60_000;
const MAX_JSON_BYTES = 32 << 20;
const MOST_WAIT_MS = 60_000;

export interface ClientOptions {
  /** Tries of one request that makes no headway; 5 when left out. */
  readonly tries?: number;
  /** Pause before the second try, doubled before each further one; 1 s when left out. */
  readonly pauseMs?: number;
  /** The environment that says endpoint, token and whether there is a network. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What went wrong may pass: the network, or a server that is busy. */
export class Passing extends Error {
  /** What the server asks for before the next try. */
  readonly waitMs: number | undefined;
  constructor(message: string, waitMs?: number, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.waitMs = waitMs;
  }
}

/** The hub by HTTP, as HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE of the environment say. */
export class HubClient {
  readonly endpoint: string;
  readonly offline: boolean;
  readonly #token: string | undefined;
  readonly #tries: number;
  readonly #pauseMs: number;

  /** @throws VersusError `usage` when HF_ENDPOINT is no URL, or would send the token unencrypted */
  constructor({ tries = 5, pauseMs = 1000, env = process.env }: ClientOptions = {}) {
    const url = parse(env.HF_ENDPOINT || DEFAULT_ENDPOINT);
    this.endpoint = url.href.replace(/\/+$/, '');
    this.offline = /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? '');
    this.#token = env.HF_TOKEN?.trim() || undefined;
    this.#tries = tries;
    this.#pauseMs = pauseMs;
    const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
    if (this.#token !== undefined && url.protocol !== 'https:' && !loopback) {
      throw new VersusError('usage', 'HF_TOKEN would go over the network unencrypted', {
        where: `HF_ENDPOINT=${this.endpoint}`,
        next: 'use an https:// endpoint, or unset HF_TOKEN',
      });
    }
  }

  /** A JSON document of the hub's API, and the address of its next page. */
  json(path: string, what: string): Promise<{ value: unknown; next: string | null }> {
    return this.again(what, async () => {
      const url = path.startsWith('http') ? path : `${this.endpoint}${path}`;
      const response = await this.request(url, what);
      const parts: Uint8Array[] = [];
      let bytes = 0;
      for await (const part of this.body(response)) {
        bytes += part.byteLength;
        if (bytes > MAX_JSON_BYTES) throw notTheHub(url, `it answers with more than ${MAX_JSON_BYTES} bytes`);
        parts.push(part);
      }
      try {
        return { value: JSON.parse(Buffer.concat(parts).toString('utf8')), next: this.#nextPage(response) };
      } catch (cause) {
        throw cause instanceof VersusError ? cause : notTheHub(url, 'it does not answer with JSON', cause);
      }
    });
  }

  /**
   * One request. The token goes to the endpoint only: `fetch` drops it where a redirect leads to another host.
   * @param from asks for the bytes from there on
   * @throws Passing when a later try may do better, VersusError when not
   */
  async request(url: string, what: string, from = 0): Promise<Response> {
    const headers: Record<string, string> = { 'user-agent': 'versus', 'accept-encoding': 'identity' };
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    if (from > 0) headers.range = `bytes=${from}-`;
    let response: Response;
    const patience = new AbortController();
    // Until the answer begins; how long its body may take depends on its size.
    const timer = setTimeout(() => patience.abort(new Error('no answer')), SILENCE_MS);
    try {
      response = await fetch(url, { headers, signal: patience.signal });
    } catch (error) {
      throw new Passing(networkReason(error), undefined, error);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok || response.status === 416) return response;
    await response.body?.cancel().catch(() => {});
    throw this.#refusal(response, url, what);
  }

  /** The bytes of an answer as they come. @throws Passing when the connection breaks or falls silent */
  async *body(response: Response): AsyncGenerator<Uint8Array, void> {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        let timer: NodeJS.Timeout | undefined;
        const silence = new Promise<never>((_, fail) => {
          timer = setTimeout(() => fail(new Error('nothing comes any more')), SILENCE_MS);
        });
        const part = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer));
        if (part.done) return;
        yield part.value as Uint8Array;
      }
    } catch (error) {
      throw new Passing(networkReason(error), undefined, error);
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /**
   * Tries until it works, pausing longer each time. A `body` that reports headway has all its tries again.
   * @throws VersusError `infrastructure` after the last one
   */
  async again<T>(what: string, body: (headway: () => void) => Promise<T>): Promise<T> {
    let failed = 0;
    for (;;) {
      try {
        return await body(() => {
          failed = 0;
        });
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        failed++;
        if (failed >= this.#tries) {
          throw new VersusError('infrastructure', `${what}: ${reasonOf(error)} (${failed} tries)`, {
            where: this.endpoint,
            next: 'check the network and run again: what has come is kept; HF_ENDPOINT names a mirror',
            cause: error,
          });
        }
        const pause = error.waitMs ?? this.#pauseMs * 2 ** (failed - 1);
        await sleep(Math.min(MOST_WAIT_MS, pause));
      }
    }
  }

  #refusal(response: Response, url: string, what: string): Error {
    const { status } = response;
    if (status === 408 || status === 429 || status >= 500) {
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      return new Passing(`the hub answers ${status}`, Number.isFinite(seconds) ? seconds * 1000 : undefined);
    }
    const where = url.split('?')[0]!;
    if (status === 401 || status === 403) {
      const hidden =
        this.#token === undefined
          ? 'accept its terms on its page, if it has any, and set HF_TOKEN to a token that may read it; check the spelling too'
          : 'accept its terms on its page with the account of HF_TOKEN, and check the spelling';
      return new VersusError('input', `${what}: the hub gives no access (${status})`, {
        where,
        next: hidden,
      });
    }
    const next =
      status === 404 ? 'check id and revision' : 'try again later, or name another mirror by HF_ENDPOINT';
    return new VersusError('input', `${what}: the hub answers ${status}`, { where, next });
  }

  /** Listings come in pages; a page of another host would get the token. */
  #nextPage(response: Response): string | null {
    const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers.get('link') ?? '')?.[1];
    if (link === undefined) return null;
    const url = new URL(link, response.url);
    if (url.origin === new URL(this.endpoint).origin) return url.href;
    throw notTheHub(response.url, 'its next page is on another host');
  }
}

function parse(endpoint: string): URL {
  const url = URL.parse?.(endpoint) ?? (URL.canParse(endpoint) ? new URL(endpoint) : null);
  if (url && /^https?:$/.test(url.protocol)) return url;
  throw new VersusError('usage', 'HF_ENDPOINT is not an address of the web', {
    where: `HF_ENDPOINT=${endpoint}`,
    next: `unset it, or write it as ${DEFAULT_ENDPOINT}`,
  });
}

function notTheHub(url: string, problem: string, cause?: unknown): VersusError {
  return new VersusError('input', `this is not a Hugging Face hub: ${problem}`, {
    where: url,
    next: 'check HF_ENDPOINT, and whether a proxy answers in its place',
    cause,
  });
}

/** `fetch failed` says nothing; its cause does. */
function networkReason(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? `no connection (${code})` : reasonOf(cause ?? error);
}
