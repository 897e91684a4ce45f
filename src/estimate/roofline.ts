import { elementCount } from '../core/tensor.ts';
import type { Device } from './devices.ts';
import { type Kernel, kernelsOf } from './kernels.ts';
import type { Call } from './phases.ts';
import { elementBytes, paramBytes, productWeights, type StoredAs } from './precision.ts';

/** What a call does, and the least time that a device can do it in. */
export interface Roofline {
  readonly macs: number;
  /** Bytes through memory when elementwise operators are fused. */
  readonly bytes: number;
  /** Seconds. */
  readonly seconds: number;
  /** Share of that time in kernels that wait for memory rather than for arithmetic. */
  readonly memoryBound: number;
}

/**
 * The roofline of calls one after another (Williams, Waterman and Patterson, "Roofline", 2009): every kernel takes the longer of
 * 2 · MACs ÷ peak and bytes ÷ bandwidth. A bound from below: launches, poor shapes and transfers only add to it.
 */
export function roofline(calls: readonly Call[], device: Device, stored: StoredAs): Roofline {
  let [macs, bytes, seconds, waiting] = [0, 0, 0, 0];
  const half = device.flops.fp16 !== null;
  const peak = stored === 'fp32' ? device.flops.fp32 : (device.flops.fp16 ?? device.flops.fp32);
  for (const call of calls) {
    const size = sizesOf(call, stored, half);
    for (const kernel of kernelsOf(call.graph, call.types)) {
      const moved = bytesOf(kernel, size);
      const [arithmetic, memory] = [(2 * kernel.macs) / peak, moved / device.bandwidth];
      macs += kernel.macs;
      bytes += moved;
      seconds += Math.max(arithmetic, memory);
      if (memory > arithmetic) waiting += memory;
    }
  }
  return { macs, bytes, seconds, memoryBound: seconds > 0 ? waiting / seconds : 0 };
}

function bytesOf({ reads, picks, writes }: Kernel, size: (name: string) => number): number {
  const sum = (names: readonly string[]) => names.reduce((total, name) => total + size(name), 0);
  return sum(reads) + sum(picks) + sum(writes);
}

/** Bytes of every value and parameter of a call as it is stored. */
export function sizesOf({ graph, types }: Call, stored: StoredAs, half: boolean): (name: string) => number {
  const quantised = productWeights(graph);
  const params = new Map(graph.params.map((p) => [p.name, p]));
  return (name) => {
    const param = params.get(name);
    if (param) return paramBytes(param, stored, quantised.has(name), half);
    const type = types.get(name);
    if (!type?.shape.every((d) => typeof d === 'number')) return 0;
    return elementCount(type.shape as number[]) * elementBytes(type.dtype, stored, half);
  };
}
