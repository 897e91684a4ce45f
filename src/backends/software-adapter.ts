/**
 * GPUs that are emulated on the CPU, by what drivers call them: Mesa's lavapipe and its rasteriser llvmpipe (softpipe before it),
 * Google's SwiftShader, and Windows's WARP.
 */
const SOFTWARE = /llvmpipe|lavapipe|softpipe|swiftshader|microsoft basic render|\bwarp\b/i;

/** Whether an adapter of this name (or a driver library of it) computes on the CPU: fit to prove correctness, never ranked for speed. */
export const isSoftwareAdapter = (name: string): boolean => SOFTWARE.test(name);
