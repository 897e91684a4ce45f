import { describe, expect, it } from 'vitest';
import { reference } from '../../src/backends/reference.ts';
import type { Backend, Device, Resident, ResidentSession } from '../../src/core/backend.ts';
import { VersusError } from '../../src/core/errors.ts';
import type { Dim, Graph } from '../../src/core/graph.ts';
import { float32, int64, type Tensor, tensor, toNumbers } from '../../src/core/tensor.ts';
import { throughHost } from '../../src/core/through-host.ts';
import type { workplace } from './artifact.ts';
import { cache, counter as counterOf, dense } from './contract-graphs.ts';

const STEPS = 64;

/**
 * What a backend must do that lets outputs stay on its device. Part of `backendContract`.
 * @param rows of the state: open, or a number where a backend can do more with sizes that it knows
 */
export function residentContract(
  backend: Backend,
  device: Device,
  files: ReturnType<typeof workplace>,
  rows: Dim = 'n',
): void {
  const counter = () => counterOf(rows);
  describe.skipIf(!backend.openResident)(
    `${backend.name} keeps tensors of [${rows}, 4] on its device`,
    () => {
      async function using<T>(
        graph: Graph,
        keep: readonly string[],
        body: (session: ResidentSession) => Promise<T>,
      ): Promise<T> {
        const session = await backend.openResident!(await files.write(graph), { precision: 'fp32' }, keep);
        try {
          return await body(session);
        } finally {
          await session.close();
        }
      }
      const refusal = async (promise: Promise<unknown>, message: RegExp) => {
        const error = await promise.catch((e: unknown) => e);
        expect(error).toBeInstanceOf(VersusError);
        expect((error as VersusError).message).toMatch(message);
        return error as VersusError;
      };
      const step = float32([1], [0.5]);
      const start = float32([2, 4], [0, 1, 2, 3, 4, 5, 6, 7]);
      const values = (t: Tensor) => [...toNumbers(t)];

      it(`carries a state over ${STEPS} steps without moving it through the host`, () =>
        using(counter(), ['next'], async (s) => {
          let state: Resident = await s.put(start);
          const fed = s.traffic();
          expect(fed.to_device).toBe(start.data.byteLength);
          for (let i = 1; i <= STEPS; i++) {
            const { host, kept } = await s.run({ state, step });
            expect(Object.keys(host)).toEqual(['total']);
            expect(values(host.total!)).toEqual([28 + 8 * 0.5 * i]);
            state.dispose();
            state = kept.next!;
          }
          const { to_device, to_host, resident } = s.traffic();
          // The step goes in and the total comes out, four bytes each; of the state's 32 bytes per step nothing does.
          expect(to_device - fed.to_device).toBe(STEPS * 4);
          expect(to_host - fed.to_host).toBe(STEPS * 4);
          expect(resident).toBe(start.data.byteLength);
          expect(state).toMatchObject({
            dtype: 'float32',
            shape: [2, 4],
            backend: backend.name,
            alive: true,
          });
          expect(values(await s.read(state))).toEqual(values(start).map((v) => v + 0.5 * STEPS));
          expect(s.traffic().to_host - to_host).toBe(32);
          expect(s.options.precision).toBe('fp32');
        }));

      it('uses donated tensors up, and is right whether or not it writes over them', () =>
        using(counter(), ['next'], async (s) => {
          let state: Resident = await s.put(float32([2, 4], [0, 1, 2, 3, 4, 5, 6, 7]));
          let spare: Resident = await s.put(float32([2, 4], new Array(8).fill(9)));
          for (let i = 1; i <= 3; i++) {
            const { host, kept } = await s.run({ state, step }, undefined, { next: spare });
            expect(values(host.total!)).toEqual([28 + 8 * 0.5 * i]);
            expect([spare.alive, state.alive]).toEqual([false, true]);
            [spare, state] = [state, kept.next!];
          }
          expect(s.traffic().resident).toBe(2 * 32);
          // The node that makes `next` is the only one that reads the state, element by element.
          const { kept } = await s.run({ state, step }, ['next'], { next: state });
          expect(state.alive).toBe(false);
          expect(values(await s.read(kept.next!))).toEqual(values(start).map((v) => v + 0.5 * 4));
          await refusal(
            s.run({ state: kept.next!, step }, undefined, { total: spare }),
            /donated to 'total'/,
          );
        }));

      it('grows a cache from an empty tensor on, and takes a resident as often as one likes', () =>
        using(cache(), ['present'], async (s) => {
          const now = (v: number) => float32([1, 2, 1, 3], new Array(6).fill(v));
          const { kept: one } = await s.run({ past: float32([1, 2, 0, 3], []), now: now(1) });
          const { kept: two, host } = await s.run({ past: one.present!, now: now(3) });
          const { host: again } = await s.run({ past: one.present!, now: now(5) });
          expect(two.present!.shape).toEqual([1, 2, 2, 3]);
          expect(values(host.mean!)).toEqual(new Array(6).fill(2));
          expect(values(again.mean!)).toEqual(new Array(6).fill(3));
          expect(values(await s.read(one.present!))).toEqual(new Array(6).fill(1));
        }));

      it('keeps only what it was asked to, and computes only what is fetched', () =>
        using(counter(), ['next'], async (s) => {
          const first = await s.run({ state: start, step }, ['total']);
          expect([Object.keys(first.host), Object.keys(first.kept)]).toEqual([['total'], []]);
          const second = await s.run({ state: start, step }, ['next']);
          expect([Object.keys(second.host), Object.keys(second.kept)]).toEqual([[], ['next']]);
          expect(s.keep).toEqual(['next']);
        }));

      it('lets sessions of one backend hand residents on', () =>
        using(counter(), ['next'], (first) =>
          using(counter(), ['next'], async (second) => {
            const { kept } = await first.run({ state: start, step });
            const { kept: more } = await second.run({ state: kept.next!, step });
            expect(values(await second.read(more.next!))).toEqual(values(start).map((v) => v + 1));
            expect(second.traffic().to_device).toBe(4);
            expect(values(await second.read(kept.next!))).toEqual(values(start).map((v) => v + 0.5));
          }),
        ));

      it.each([
        int64([3], [1, -2, 2 ** 40]),
        tensor('int32', [1, 2], Int32Array.of(-7, 9)),
        tensor('bool', [5], Uint8Array.of(1, 0, 1, 1, 0)),
        float32([], [3.5]),
        float32([0, 4], []),
      ])('puts and reads $dtype $shape unchanged', (original) =>
        using(counter(), [], async (s) => {
          const resident = await s.put(original);
          expect(resident.shape).toEqual(original.shape);
          expect(await s.read(resident)).toEqual(original);
          expect(s.traffic().resident).toBe(original.data.byteLength);
          resident.dispose();
          resident.dispose();
          expect(s.traffic().resident).toBe(0);
        }));

      it('refuses what was disposed of, what closed sessions left and what is another backend’s', () =>
        using(counter(), ['next'], async (s) => {
          const used = await s.put(start);
          used.dispose();
          expect(used.alive).toBe(false);
          const gone = await refusal(
            s.run({ state: used, step }),
            /'state' is a tensor that is gone: it was disposed of/,
          );
          expect(gone.kind).toBe('input');
          await refusal(s.read(used), /gone/);

          const other = await backend.openResident!(await files.write(counter()), { precision: 'fp32' }, [
            'next',
          ]);
          const { kept } = await other.run({ state: start, step });
          expect(other.traffic().resident).toBe(32);
          await other.close();
          await other.close();
          expect([kept.next!.alive, other.traffic().resident]).toEqual([false, 0]);
          kept.next!.dispose();
          await refusal(s.run({ state: kept.next!, step }), /gone: the session that made it was closed/);
          await refusal(other.run({ state: start, step }), /closed/);
          await refusal(other.put(start), /closed/);

          const plain = await reference.open(await files.write(counter()), { precision: 'fp32' });
          const foreign = await throughHost(plain, 'elsewhere', ['next'], true);
          const theirs = await foreign.put(start);
          const error = await refusal(s.run({ state: theirs, step }), /'state' is a tensor on elsewhere/);
          expect(error.next).toMatch(/read it/);
          await foreign.close();

          const { host } = await s.run({ state: start, step });
          expect(values(host.total!)).toEqual([32]);
        }));

      it('checks residents as it checks tensors: names, types, shapes', () =>
        using(counter(), ['next'], async (s) => {
          const flat = await s.put(float32([8], values(start)));
          await refusal(s.run({ state: flat, step }), /'state' wants shape \[\w, 4\], got \[8\]/);
          const whole = await s.put(int64([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]));
          await refusal(s.run({ state: whole, step }), /'state' wants float32, got int64/);
          await refusal(s.run({ step }), /'state' is missing/);
        }));

      it('refuses to keep an output that the graph lacks', async () => {
        const artifact = await files.write(dense());
        const error = await refusal(
          backend.openResident!(artifact, { precision: 'fp32' }, ['nothing']),
          /no output 'nothing' to keep/,
        );
        expect(error.kind).toBe('input');
      });

      it('counts what a run moves that keeps nothing', () =>
        using(dense(), [], async (s) => {
          await s.run({ x: float32([2, 3], [1, 2, 3, 4, 5, 6]) });
          expect(s.traffic()).toEqual({ to_device: 24, to_host: 2 * 2 * 4 + 2 * 4, resident: 0 });
          const plain = await backend.open(await files.write(dense()), { precision: 'fp32' });
          await plain.run({ x: float32([2, 3], [1, 2, 3, 4, 5, 6]) });
          if (plain.traffic) expect(plain.traffic()).toEqual(s.traffic());
          await plain.close();
          expect(device.name).not.toBe('');
        }));
    },
  );
}
