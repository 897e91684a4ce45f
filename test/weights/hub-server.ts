import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the next request for a file gets instead of an honest answer; null for that. */
export type Mischief = (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => boolean;

export interface TestHub {
  readonly endpoint: string;
  readonly commit: string;
  /** `METHOD path` and range of every request, in order. */
  readonly seen: string[];
  /** What the storage behind a redirect was sent as authorization. */
  readonly storageAuth: (string | undefined)[];
  /** Answers of the API or of a file that come first; used up from the front. */
  readonly mischief: { api: Mischief[]; file: Mischief[] };
  files: Record<string, Buffer>;
  /** Listed in place of the true hash and size. */
  lies: Record<string, { hash?: string; size?: number }>;
  token?: string;
  close(): Promise<void>;
}

const COMMIT = 'c0ffee'.repeat(7).slice(0, 40);
/** From this size on a file is listed as a large one, with its SHA-256, and given out by another host. */
const LARGE = 1000;

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const gitBlob = (bytes: Buffer): string =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

const listen = (server: Server): Promise<string> =>
  new Promise((done) => {
    server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
const closed = (server: Server): Promise<void> =>
  new Promise((done) => {
    server.closeAllConnections();
    server.close(() => done());
  });

/** A small hub of one model `acme/tiny` on this machine: API, files, and large files behind a redirect to another port. */
export async function startHub(files: Record<string, Buffer>): Promise<TestHub> {
  const storage = createServer((request, response) => {
    hub.storageAuth.push(request.headers.authorization);
    give(request, response, Object.values(hub.files).find((b) => request.url === `/${sha256(b)}`)!);
  });
  const give = (request: IncomingMessage, response: ServerResponse, bytes: Buffer): void => {
    const trick = hub.mischief.file.shift();
    if (trick?.(request, response, bytes)) return;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(from);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, {
      etag: `"${sha256(bytes)}"`,
      'content-length': part.length,
      ...range,
    });
    response.end(part);
  };
  const server = createServer((request, response) => {
    const url = decodeURIComponent(request.url!);
    hub.seen.push(`${url}${request.headers.range ? ` ${request.headers.range}` : ''}`);
    const json = (status: number, value: unknown, headers = {}): void => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(value));
    };
    if (hub.token !== undefined && request.headers.authorization !== `Bearer ${hub.token}`) {
      return json(401, { error: 'Access to model acme/tiny is restricted.' });
    }
    if (url.startsWith('/api/') && hub.mischief.api.shift()?.(request, response, Buffer.alloc(0))) return;
    if (url === '/api/models/acme/tiny/revision/main') return json(200, { sha: COMMIT, id: 'acme/tiny' });
    if (url.startsWith(`/api/models/acme/tiny/tree/${COMMIT}`)) {
      tree(url, json);
      return;
    }
    const name = new RegExp(`^/acme/tiny/resolve/${COMMIT}/(.+)$`).exec(url)?.[1];
    const bytes = name === undefined ? undefined : hub.files[name];
    if (!bytes) return json(404, { error: 'Entry not found' });
    if (bytes.length < LARGE) return give(request, response, bytes);
    response.writeHead(302, { location: `${storageAt}/${sha256(bytes)}` });
    response.end();
  });
  /** Two pages, so that following them is seen. */
  const tree = (url: string, json: (status: number, value: unknown, headers?: object) => void): void => {
    const entries = Object.entries(hub.files).map(([path, bytes]) => {
      const size = hub.lies[path]?.size ?? bytes.length;
      const hash = hub.lies[path]?.hash;
      const lfs =
        bytes.length >= LARGE ? { lfs: { oid: hash ?? sha256(bytes), size, pointerSize: 130 } } : {};
      return { type: 'file', path, size, oid: hash ?? gitBlob(bytes), ...lfs };
    });
    const half = Math.ceil(entries.length / 2);
    if (url.includes('cursor=2')) {
      json(200, entries.slice(half));
      return;
    }
    const next = `${hub.endpoint}/api/models/acme/tiny/tree/${COMMIT}?recursive=true&cursor=2`;
    json(200, [{ type: 'directory', path: 'onnx', size: 0, oid: '0' }, ...entries.slice(0, half)], {
      link: `<${next}>; rel="next"`,
    });
  };
  const [endpoint, storageAt] = [await listen(server), await listen(storage)];
  const hub: TestHub = {
    ...{
      endpoint,
      commit: COMMIT,
      seen: [],
      storageAuth: [],
      mischief: { api: [], file: [] },
      files,
      lies: {},
    },
    close: async () => {
      await closed(server);
      await closed(storage);
    },
  };
  return hub;
}

/** Sends the first bytes of what was asked for and breaks the connection. */
export const breakAfter =
  (bytes: number): Mischief =>
  (request, response, whole) => {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': whole.length - from, ...range });
    response.write(whole.subarray(from, from + bytes), () => response.destroy());
    return true;
  };

export const answer =
  (status: number, headers: Record<string, string> = {}, body = ''): Mischief =>
  (_, response) => {
    response.writeHead(status, headers);
    response.end(body);
    return true;
  };
