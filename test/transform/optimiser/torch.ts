/** Optimisers as torch's documentation writes them, in float64 and element by element: nothing of ours is used. */

export interface Settings {
  readonly kind: 'adamw' | 'sgd';
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly momentum: number;
  readonly nesterov: boolean;
}

export interface Slot {
  readonly weights: number[];
  readonly first: number[];
  readonly second: number[];
  readonly decays: boolean;
  readonly rate: number;
}

/** `clip_grad_norm_`: the norm, and the gradients scaled. */
export function clipped(gradients: number[][], most: number): { norm: number; gradients: number[][] } {
  const norm = Math.sqrt(gradients.flat().reduce((sum, v) => sum + v * v, 0));
  const factor = Math.min(1, most / (norm + 1e-6));
  return { norm, gradients: gradients.map((one) => one.map((v) => v * factor)) };
}

/** One step of all parameters, in place; `t` counts from 1. */
export function step(slots: readonly Slot[], gradients: readonly number[][], s: Settings, t: number): void {
  slots.forEach((slot, k) => {
    const lr = s.lr * slot.rate;
    const decay = slot.decays ? s.weightDecay : 0;
    for (let i = 0; i < slot.weights.length; i++) {
      let gradient = gradients[k]![i]!;
      if (s.kind === 'sgd') {
        gradient += decay * slot.weights[i]!;
        if (s.momentum !== 0) {
          slot.first[i] = t === 1 ? gradient : s.momentum * slot.first[i]! + gradient;
          gradient = s.nesterov ? gradient + s.momentum * slot.first[i]! : slot.first[i]!;
        }
        slot.weights[i]! -= lr * gradient;
        continue;
      }
      slot.weights[i]! -= lr * decay * slot.weights[i]!;
      slot.first[i] = s.beta1 * slot.first[i]! + (1 - s.beta1) * gradient;
      slot.second[i] = s.beta2 * slot.second[i]! + (1 - s.beta2) * gradient * gradient;
      const first = slot.first[i]! / (1 - s.beta1 ** t);
      const second = slot.second[i]! / (1 - s.beta2 ** t);
      slot.weights[i]! -= (lr * first) / (Math.sqrt(second) + s.eps);
    }
  });
}
