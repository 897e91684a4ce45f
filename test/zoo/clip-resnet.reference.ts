/**
 * OpenAI's CLIP with a residual network in plain float64 loops, written from clip/model.py's description of the layers and
 * in another order than our graph: every place of the map asks in the attention pool, and the first answer is kept.
 */

export interface Array64 {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}
export type Weights = (name: string) => Array64;

const array = (shape: readonly number[]): Array64 => ({
  shape,
  data: new Float64Array(shape.reduce((a, b) => a * b, 1)),
});
const mapped = (x: Array64, f: (v: number, i: number) => number): Array64 => ({
  shape: x.shape,
  data: x.data.map(f),
});
const relu = (x: Array64) => mapped(x, (v) => Math.max(0, v));
const plus = (a: Array64, b: Array64) => mapped(a, (v, i) => v + b.data[i]!);

/** [n, c, h, w] with zeros around it. */
function conv(x: Array64, w: Array64, stride: number, pad: number): Array64 {
  const [n, c, h, width] = x.shape as [number, number, number, number];
  const [to, , k] = w.shape as [number, number, number, number];
  const size = (edge: number) => Math.floor((edge + 2 * pad - k) / stride) + 1;
  const out = array([n, to, size(h), size(width)]);
  let at = 0;
  for (let b = 0; b < n; b++)
    for (let o = 0; o < to; o++)
      for (let y = 0; y < size(h); y++)
        for (let z = 0; z < size(width); z++) {
          let sum = 0;
          for (let i = 0; i < c; i++)
            for (let dy = 0; dy < k; dy++)
              for (let dx = 0; dx < k; dx++) {
                const [yy, xx] = [y * stride + dy - pad, z * stride + dx - pad];
                if (yy < 0 || yy >= h || xx < 0 || xx >= width) continue;
                sum +=
                  x.data[((b * c + i) * h + yy) * width + xx]! * w.data[((o * c + i) * k + dy) * k + dx]!;
              }
          out.data[at++] = sum;
        }
  return out;
}

function batchNorm(x: Array64, weights: Weights, name: string): Array64 {
  const [, c, h, w] = x.shape as [number, number, number, number];
  const of = (part: string) => weights(`${name}.${part}`).data;
  const [gain, bias, mean, variance] = [of('weight'), of('bias'), of('running_mean'), of('running_var')];
  return mapped(x, (v, i) => {
    const channel = Math.floor(i / (h * w)) % c;
    const normal = (v - mean[channel]!) / Math.sqrt(variance[channel]! + 1e-5);
    return normal * gain[channel]! + bias[channel]!;
  });
}

function averagePool(x: Array64, k: number): Array64 {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const out = array([n, c, Math.floor(h / k), Math.floor(w / k)]);
  const [rows, columns] = [out.shape[2]!, out.shape[3]!];
  for (let p = 0; p < n * c; p++)
    for (let y = 0; y < rows; y++)
      for (let z = 0; z < columns; z++) {
        let sum = 0;
        for (let dy = 0; dy < k; dy++)
          for (let dx = 0; dx < k; dx++) sum += x.data[(p * h + y * k + dy) * w + z * k + dx]!;
        out.data[(p * rows + y) * columns + z] = sum / (k * k);
      }
  return out;
}

/** rows [r, from] · weight[to, from]ᵀ + bias */
function linear(x: Array64, w: Array64, bias?: Array64): Array64 {
  const [r, from] = x.shape as [number, number];
  const to = w.shape[0]!;
  const out = array([r, to]);
  for (let i = 0; i < r; i++)
    for (let o = 0; o < to; o++) {
      let sum = bias ? bias.data[o]! : 0;
      for (let k = 0; k < from; k++) sum += x.data[i * from + k]! * w.data[o * from + k]!;
      out.data[i * to + o] = sum;
    }
  return out;
}

/** Scaled dot-product attention over one sequence, rows [length, width]. */
function attention(q: Array64, k: Array64, v: Array64, heads: number, causal: boolean): Array64 {
  const [length, width] = q.shape as [number, number];
  const per = width / heads;
  const out = array([length, width]);
  for (let head = 0; head < heads; head++)
    for (let i = 0; i < length; i++) {
      const seen = causal ? i + 1 : length;
      const scores = Array.from({ length: seen }, (_, j) => {
        let dot = 0;
        for (let d = head * per; d < (head + 1) * per; d++)
          dot += q.data[i * width + d]! * k.data[j * width + d]!;
        return Math.exp(dot / Math.sqrt(per));
      });
      const total = scores.reduce((a, b) => a + b, 0);
      for (let d = head * per; d < (head + 1) * per; d++)
        for (let j = 0; j < seen; j++)
          out.data[i * width + d]! += (scores[j]! / total) * v.data[j * width + d]!;
    }
  return out;
}

function layerNorm(x: Array64, w: Weights, name: string): Array64 {
  const [r, width] = x.shape as [number, number];
  const [gain, bias] = [w(`${name}.weight`).data, w(`${name}.bias`).data];
  const out = array(x.shape);
  for (let i = 0; i < r; i++) {
    const row = x.data.subarray(i * width, (i + 1) * width);
    const mean = row.reduce((a, b) => a + b, 0) / width;
    const variance = row.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
    row.forEach((v, j) => {
      out.data[i * width + j] = ((v - mean) / Math.sqrt(variance + 1e-5)) * gain[j]! + bias[j]!;
    });
  }
  return out;
}

const rowsOf = (x: Array64, from: number, to: number): Array64 => {
  const width = x.shape.at(-1)!;
  return { shape: [to - from, width], data: x.data.slice(from * width, to * width) };
};
const stacked = (parts: readonly Array64[]): Array64 => {
  const out = array([parts.length, parts[0]!.data.length]);
  parts.forEach((p, i) => {
    out.data.set(p.data, i * p.data.length);
  });
  return out;
};

function bottleneck(x: Array64, w: Weights, name: string, stride: number, projected: boolean): Array64 {
  let y = relu(batchNorm(conv(x, w(`${name}.conv1.weight`), 1, 0), w, `${name}.bn1`));
  y = relu(batchNorm(conv(y, w(`${name}.conv2.weight`), 1, 1), w, `${name}.bn2`));
  if (stride > 1) y = averagePool(y, stride);
  y = batchNorm(conv(y, w(`${name}.conv3.weight`), 1, 0), w, `${name}.bn3`);
  if (!projected) return relu(plus(y, x));
  const small = stride > 1 ? averagePool(x, stride) : x;
  const shortcut = conv(small, w(`${name}.downsample.0.weight`), 1, 0);
  return relu(plus(y, batchNorm(shortcut, w, `${name}.downsample.1`)));
}

/** Images [n, 3, h, w] → features [n, projection]. */
export function imageFeatures(x: Array64, w: Weights, depths: readonly number[], heads: number): Array64 {
  let map = x;
  for (const i of [1, 2, 3]) {
    map = relu(batchNorm(conv(map, w(`visual.conv${i}.weight`), i === 1 ? 2 : 1, 1), w, `visual.bn${i}`));
  }
  map = averagePool(map, 2);
  depths.forEach((depth, stage) => {
    for (let b = 0; b < depth; b++) {
      const stride = stage > 0 && b === 0 ? 2 : 1;
      map = bottleneck(map, w, `visual.layer${stage + 1}.${b}`, stride, b === 0);
    }
  });
  const [n, channels, h, width] = map.shape as [number, number, number, number];
  const pool = 'visual.attnpool';
  const part = (rows: Array64, name: string) =>
    linear(rows, w(`${pool}.${name}.weight`), w(`${pool}.${name}.bias`));
  const features = Array.from({ length: n }, (_, b) => {
    const tokens = array([h * width + 1, channels]);
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < h * width; p++) {
        const v = map.data[(b * channels + c) * h * width + p]!;
        tokens.data[(p + 1) * channels + c] = v;
        tokens.data[c]! += v / (h * width);
      }
    const placed = plus(tokens, w(`${pool}.positional_embedding`));
    const mixed = attention(
      ...([part(placed, 'q_proj'), part(placed, 'k_proj'), part(placed, 'v_proj')] as const),
      ...([heads, false] as const),
    );
    return rowsOf(part(mixed, 'c_proj'), 0, 1);
  });
  return stacked(features);
}

/** Ids [n, length] → features [n, projection], with QuickGELU. */
export function textFeatures(
  ids: readonly (readonly number[])[],
  w: Weights,
  depth: number,
  heads: number,
): Array64 {
  const table = w('token_embedding.weight');
  const width = table.shape[1]!;
  const features = ids.map((row) => {
    const tokens = array([row.length, width]);
    row.forEach((id, i) => {
      tokens.data.set(table.data.subarray(id * width, (id + 1) * width), i * width);
    });
    let x = plus(tokens, rowsOf(w('positional_embedding'), 0, row.length));
    for (let layer = 0; layer < depth; layer++) {
      const block = `transformer.resblocks.${layer}`;
      const named = (rows: Array64, name: string) =>
        linear(rows, w(`${block}.${name}.weight`), w(`${block}.${name}.bias`));
      const normed = layerNorm(x, w, `${block}.ln_1`);
      const [weight, bias] = [w(`${block}.attn.in_proj_weight`), w(`${block}.attn.in_proj_bias`)];
      const [q, k, v] = [0, 1, 2].map((i) =>
        linear(normed, rowsOf(weight, i * width, (i + 1) * width), {
          shape: [width],
          data: bias.data.subarray(i * width, (i + 1) * width),
        }),
      ) as [Array64, Array64, Array64];
      x = plus(x, named(attention(q, k, v, heads, true), 'attn.out_proj'));
      const hidden = named(layerNorm(x, w, `${block}.ln_2`), 'mlp.c_fc');
      x = plus(
        x,
        named(
          mapped(hidden, (t) => t / (1 + Math.exp(-1.702 * t))),
          'mlp.c_proj',
        ),
      );
    }
    const end = row.indexOf(Math.max(...row));
    const pooled = rowsOf(layerNorm(x, w, 'ln_final'), end, end + 1);
    const projection = w('text_projection');
    const out = array([1, projection.shape[1]!]);
    for (let o = 0; o < out.data.length; o++)
      for (let i = 0; i < width; i++)
        out.data[o]! += pooled.data[i]! * projection.data[i * out.data.length + o]!;
    return out;
  });
  return stacked(features);
}

/** Rows of length 1. */
export function normalised(x: Array64): Array64 {
  const width = x.shape[1]!;
  return mapped(x, (v, i) => {
    const from = i - (i % width);
    return v / Math.hypot(...x.data.subarray(from, from + width));
  });
}
