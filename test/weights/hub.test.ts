import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { VersusError } from '../../src/core/errors.ts';
import { float32 } from '../../src/core/tensor.ts';
import { type HubOptions, hub } from '../../src/weights/hub/index.ts';
import { isModelFile } from '../../src/weights/hub/names.ts';
import { prepareArtifacts, safetensors, writeSafetensors } from '../../src/weights/index.ts';
import { model } from '../../src/zoo/index.ts';
import { exportLikeHub } from './hub-layout.ts';
import { answer, breakAfter, startHub, type TestHub } from './hub-server.ts';
import { tinyModel } from './tiny-model.ts';

let root: string;
let server: TestHub;
const CACHE = () => join(root, 'cache');
const TINY = tinyModel('tiny', 512);

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'versus-hub-'));
  const path = join(root, 'made.safetensors');
  await writeSafetensors(path, {
    'fc.weight': float32(
      [4, 512],
      Float32Array.from({ length: 2048 }, (_, i) => i),
    ),
    'fc.bias': float32([4], [1, 2, 3, 4]),
    'stem.weight': float32(
      [512, 3],
      Float32Array.from({ length: 1536 }, (_, i) => -i),
    ),
  });
  server = await startHub({
    'config.json': Buffer.from('{"model_type":"tiny"}'),
    'model.safetensors': readFileSync(path),
    'pytorch_model.bin': Buffer.alloc(5000, 1),
    'run.py': Buffer.from('import os'),
    'README.md': Buffer.from('# tiny'),
    'vocab.txt': Buffer.from(''),
  });
});
afterEach(async () => {
  await server.close();
  rmSync(root, { recursive: true });
});

interface Asked extends HubOptions {
  readonly revision?: string;
  readonly id?: string;
  readonly more?: Record<string, string>;
  readonly progress?: (what: string, done?: number, total?: number) => void;
}
async function open({ revision = 'main', id = 'acme/tiny', more = {}, progress, ...options }: Asked = {}) {
  const env = { HF_ENDPOINT: server.endpoint, ...more };
  const spec = hub(id, revision, { tries: 3, pauseMs: 1, env, ...options });
  const params = Object.values(await TINY.build(TINY.config)).flatMap((g) => g.params);
  const wanted = [...new Map(params.filter((p) => p.role === 'weight').map((p) => [p.name, p])).values()];
  return spec.open(wanted, { cacheDir: CACHE(), ...(progress && { progress }) });
}
const failure = async (body: Promise<unknown>): Promise<VersusError> => {
  const error = await body.then(
    () => 'no error',
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(VersusError);
  return error as VersusError;
};
const folder = () => join(CACHE(), 'hub/models--acme--tiny');
const partials = () =>
  existsSync(join(folder(), '.partial')) ? readdirSync(join(folder(), '.partial')) : [];
const files = () => server.seen.filter((line) => line.includes('/resolve/'));

describe('hub', () => {
  it('brings what a model is made of and nothing else, once', async () => {
    const told: (readonly [number | undefined, number | undefined])[] = [];
    const source = await open({ progress: (_, done, total) => told.push([done, total]) });
    expect(source).toMatchObject({ trained: true, label: `hub(acme/tiny@${server.commit.slice(0, 12)})` });
    expect(source.id).toMatch(new RegExp(`^hub:acme/tiny@${server.commit}:[0-9a-f]{64}$`));
    await source.close();
    const there = readdirSync(join(folder(), server.commit)).sort();
    expect(there).toEqual(['.listing.json', 'config.json', 'model.safetensors', 'vocab.txt']);
    expect(partials()).toEqual([]);
    expect(told.length).toBeGreaterThan(0);
    expect(told.every(([done, total]) => done! <= total!)).toBe(true);
    const asked = server.seen.length;
    await (await open()).close();
    // Only where main is now; a commit needs not even that.
    expect(server.seen.length).toBe(asked + 1);
    await (await open({ revision: server.commit })).close();
    expect(server.seen.length).toBe(asked + 1);
  });

  it('records the same of a model as the same numbers from a folder', async () => {
    const weights = hub('acme/tiny', 'main', { env: { HF_ENDPOINT: server.endpoint } });
    const options = { cacheDir: CACHE(), maxBytes: 1e9, precision: 'fp32' } as const;
    const from = await prepareArtifacts({ ...TINY, weights }, options);
    const copy = safetensors(join(folder(), server.commit));
    const local = await prepareArtifacts({ ...TINY, weights: copy }, options);
    expect(local.model!.path).not.toBe(from.model!.path);
    expect(local.model!.sha256).toBe(from.model!.sha256);
  });

  it('sends the token to the hub and not to the storage behind it', async () => {
    server.token = 'hf_secret';
    await (await open({ more: { HF_TOKEN: 'hf_secret' } })).close();
    expect(server.storageAuth).toEqual([undefined]);
    const remote = { HF_ENDPOINT: 'http://hub.invalid', HF_TOKEN: 'hf_secret' };
    const error = await failure(open({ more: remote }));
    expect(error.message).toMatch(/unencrypted/);
    expect(error.describe()).not.toContain('hf_secret');
  });

  it('says what to do about a model that is gated or private', async () => {
    server.token = 'hf_secret';
    const without = await failure(open());
    expect(without.describe()).toMatch(/no access \(401\)[\s\S]*HF_TOKEN/);
    const wrong = await failure(open({ more: { HF_TOKEN: 'hf_other' } }));
    expect(wrong.describe()).not.toContain('hf_other');
    expect(existsSync(join(folder(), server.commit))).toBe(false);
  });

  it('goes on where a connection broke, within a run and in the next', async () => {
    server.mischief.file.push(() => false, breakAfter(3000), breakAfter(2000));
    await (await open()).close();
    const size = server.files['model.safetensors']!.length;
    expect(
      files()
        .filter((l) => l.includes('model.safetensors'))
        .map((l) => l.split(' ')[1]),
    ).toEqual([...[undefined, 'bytes=3000-', 'bytes=5000-']]);
    rmSync(folder(), { recursive: true });
    server.seen.length = 0;
    // Without any headway the tries run out; what had come by then stays.
    const nothing = answer(503);
    server.mischief.file.push(() => false, breakAfter(7000), nothing, nothing, nothing);
    const error = await failure(open());
    expect(error).toMatchObject({ kind: 'infrastructure', where: server.endpoint });
    expect(error.message).toMatch(/downloading model.safetensors: the hub answers 503 \(3 tries\)/);
    expect(partials()).toHaveLength(1);
    expect(existsSync(join(folder(), server.commit, 'model.safetensors'))).toBe(false);
    server.seen.length = 0;
    await (await open()).close();
    expect(files()).toContain(`/acme/tiny/resolve/${server.commit}/model.safetensors bytes=7000-`);
    expect(readFileSync(join(folder(), server.commit, 'model.safetensors')).length).toBe(size);
    expect(partials()).toEqual([]);
  });

  it('starts again where a server ignores the range, and where what was there is damaged', async () => {
    const whole = server.files['model.safetensors']!;
    server.mischief.file.push(
      () => false,
      breakAfter(3000),
      (_, response, bytes) => {
        response.writeHead(200);
        response.end(bytes);
        return true;
      },
    );
    await (await open()).close();
    rmSync(folder(), { recursive: true });
    const nothing = answer(503);
    server.mischief.file.push(() => false, breakAfter(3000), nothing, nothing, nothing);
    await failure(open());
    const [partial] = partials();
    writeFileSync(join(folder(), '.partial', partial!), Buffer.alloc(3000, 7));
    await (await open()).close();
    expect(readFileSync(join(folder(), server.commit, 'model.safetensors')).equals(whole)).toBe(true);
  });

  it.each([
    [
      'another hash',
      { hash: 'a'.repeat(64) },
      /is not what the hub lists: its hash is [0-9a-f]{64}, not a{64}/,
    ],
    ['fewer bytes', { size: 4000 }, /is longer than the 4000 bytes/],
    ['more bytes', { size: 1_000_000 }, /downloading model.safetensors: /],
  ])('refuses a file of %s than listed, and keeps nothing of it', async (_, lie, about) => {
    server.lies['model.safetensors'] = lie;
    expect((await failure(open())).message).toMatch(about);
    expect(existsSync(join(folder(), server.commit, 'model.safetensors'))).toBe(false);
    if (!('size' in lie && lie.size! > 5000)) expect(partials()).toEqual([]);
  });

  it('checks small files too, by git’s own hash', async () => {
    server.lies['config.json'] = { hash: 'b'.repeat(40) };
    expect((await failure(open())).message).toMatch(/config.json is not what the hub lists/);
  });

  it('waits when the hub is busy, and says what it cannot find', async () => {
    server.mischief.api.push(answer(429, { 'retry-after': '0' }), answer(500));
    await (await open()).close();
    const missing = await failure(open({ revision: 'v9' }));
    expect(missing).toMatchObject({ kind: 'input', next: 'check id and revision' });
    expect((await failure(open({ id: 'acme/none' }))).message).toMatch(/answers 404/);
    server.mischief.api.push(answer(200, {}, '<html>'));
    expect((await failure(open())).message).toMatch(/not a Hugging Face hub/);
    server.mischief.api.push(answer(200, {}, '{"sha":"../../x"}'));
    expect((await failure(open())).message).toMatch(/no commit/);
  });

  it('needs no network for what is there, and says what isn’t', async () => {
    const offline = { HF_HUB_OFFLINE: '1' };
    expect((await failure(open({ more: offline }))).describe()).toMatch(
      /HF_HUB_OFFLINE[\s\S]*run once with a network/,
    );
    const first = await open();
    await first.close();
    const again = await open({ more: offline });
    expect(again.id).toBe(first.id);
    await again.close();
    // A branch is taken as last seen where the hub is out of reach.
    const told: string[] = [];
    const cut = await open({
      more: { HF_ENDPOINT: 'http://127.0.0.1:1' },
      progress: (what) => told.push(what),
    });
    expect(cut.id).toBe(first.id);
    await cut.close();
    expect(told.join()).toMatch(/out of reach/);
  });

  it.each([
    ['../x', 'main'],
    ['a/b/c', 'main'],
    ['/etc', 'main'],
    ['a/..', 'main'],
    ['a/b?x=1', 'main'],
    ['a/b', '../main'],
    ['a/b', ''],
    ['a/b', 'x\u0000'],
    ['a/b', 'refs//pr'],
  ])('refuses %j at %j before anything is asked', (id, revision) => {
    expect(() => hub(id, revision)).toThrow(/this is no/);
  });

  it('takes no name from a listing that a path could be made of', async () => {
    const bad = [
      '../x.json',
      'a/../../x.json',
      '/x.json',
      'C:\\x.json',
      'a\\..\\x.json',
      '.x.json',
      'x.json\0',
    ];
    bad.push('x.py', 'x.bin', 'x.pkl', 'a//x.json', './x.json', 'x.safetensors.exe', 'con\n.json');
    expect(bad.filter(isModelFile)).toEqual([]);
    expect(['model.safetensors', 'onnx/model_q4.onnx', 'onnx/m.onnx_data_1'].every(isModelFile)).toBe(true);
    server.files['../../evil.json'] = Buffer.from('{}');
    await (await open()).close();
    expect(existsSync(join(CACHE(), 'hub/evil.json'))).toBe(false);
  });

  it('says what there is where the wanted form is not', async () => {
    delete server.files['model.safetensors'];
    server.files['onnx/model.onnx'] = Buffer.from('x');
    const error = await failure(open());
    expect(error.message).toMatch(/acme\/tiny has no weights in safetensors format/);
    expect(error.next).toMatch(/onnx\/model.onnx/);
  });

  it('brings exported ONNX files of one variant, with their data', async () => {
    const vit = model('vit-tiny');
    await exportLikeHub(vit, root, { model: { file: 'model_q4', external: true } });
    for (const name of ['model_q4.onnx', 'model_q4.onnx_data']) {
      server.files[`onnx/${name}`] = readFileSync(join(root, 'onnx', name));
    }
    server.files['onnx/model.onnx'] = Buffer.alloc(9000, 3);
    const env = { HF_ENDPOINT: server.endpoint };
    const weights = hub('acme/tiny', 'main', { format: 'onnx', variant: 'q4', env });
    const options = { cacheDir: CACHE(), maxBytes: 1e9, precision: 'fp32' } as const;
    const { model: artifact } = await prepareArtifacts({ ...vit, weights }, options);
    expect(artifact!.path).toBe(join(folder(), server.commit, 'onnx/model_q4.onnx'));
    const source = await artifact!.weights();
    expect(source.label).toBe(`hub(acme/tiny@${server.commit.slice(0, 12)})`);
    await source.close();
    expect(readdirSync(join(folder(), server.commit, 'onnx')).sort()).toEqual([
      'model_q4.onnx',
      'model_q4.onnx_data',
    ]);
  });

  it('lets two processes’ worth of callers share one download', async () => {
    const both = await Promise.all([open(), open()]);
    for (const source of both) await source.close();
    expect(files().filter((line) => line.includes('model.safetensors'))).toHaveLength(1);
  });
});
