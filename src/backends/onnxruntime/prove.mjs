// Plain JavaScript, because the probe's own process has no TypeScript loader. Types and contract: prove.d.mts.

export async function prove(ort, provider, { graph, dtype, shape, x, y, tolerance }) {
  const session = await ort.InferenceSession.create(Buffer.from(graph, 'base64'), {
    executionProviders: [provider],
    ...(provider !== 'cpu' && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
    logSeverityLevel: 4,
  });
  try {
    const data = dtype === 'float32' ? new Float32Array(x) : new Uint16Array(x);
    const results = await session.run({ x: new ort.Tensor(dtype, data, shape) });
    const { buffer, byteOffset, byteLength } = results.y.data;
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
    const found = [...(dtype === 'float32' ? new Float32Array(bytes) : new Uint16Array(bytes))];
    const right = found.length === y.length && found.every((v, i) => Math.abs(v - y[i]) <= tolerance);
    if (!right) throw new Error(`wrong result: ${found}`);
  } finally {
    await session.release();
  }
}
