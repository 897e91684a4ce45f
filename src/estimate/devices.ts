/** What a processor can do at most, per second and at once. */
export interface Device {
  readonly name: string;
  readonly label: string;
  /** FLOP/s of dense matrix products by the type they compute in; null where it isn't known. */
  readonly flops: { readonly fp32: number; readonly fp16: number | null };
  /** Bytes/s between memory and processor. */
  readonly bandwidth: number;
  /** Bytes. */
  readonly memory: number;
  readonly source: string;
}

const T = 1e12;
const G = 1e9;

/*
 * Published peaks of dense products: fp32 without TF32, fp16 with accumulation in fp32 on tensor cores, without sparsity.
 * Memory is what the data sheet names, in 10^9 bytes.
 */
export const DEVICES: readonly Device[] = [
  {
    ...{ name: 'h200', label: 'NVIDIA H200 SXM', memory: 141 * G, bandwidth: 4800 * G },
    ...{
      flops: { fp32: 67 * T, fp16: 989.5 * T },
      source: 'NVIDIA H200 data sheet (1,979 TFLOPS with sparsity)',
    },
  },
  {
    ...{ name: 'a100', label: 'NVIDIA A100 80GB SXM', memory: 80 * G, bandwidth: 2039 * G },
    ...{ flops: { fp32: 19.5 * T, fp16: 312 * T }, source: 'NVIDIA A100 data sheet' },
  },
  {
    ...{ name: 'l4', label: 'NVIDIA L4', memory: 24 * G, bandwidth: 300 * G },
    ...{
      flops: { fp32: 30.3 * T, fp16: 121 * T },
      source: 'NVIDIA L4 data sheet (242 TFLOPS with sparsity)',
    },
  },
  {
    ...{ name: 't4', label: 'NVIDIA T4', memory: 16 * G, bandwidth: 320 * G },
    ...{ flops: { fp32: 8.1 * T, fp16: 65 * T }, source: 'NVIDIA T4 data sheet' },
  },
  {
    ...{ name: 'rtx-4090', label: 'NVIDIA GeForce RTX 4090', memory: 24 * G, bandwidth: 1008 * G },
    ...{ flops: { fp32: 82.6 * T, fp16: 165.2 * T }, source: 'NVIDIA Ada GPU architecture white paper' },
  },
];
