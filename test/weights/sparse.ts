import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Param } from '../../src/core/graph.ts';
import type { DType } from '../../src/core/tensor.ts';
import { type Layout, layout } from '../../src/weights/header.ts';

/**
 * A checkpoint of true headers and empty data: shards with an index, whose bytes are holes and take no disk.
 * @returns bytes of data
 */
export async function sparseCheckpoint(
  folder: string,
  params: readonly Param[],
  dtype: DType,
  shardBytes: number,
): Promise<number> {
  const groups: Param[][] = [[]];
  let filled = 0;
  for (const param of params) {
    const bytes = layout([{ ...param, dtype }]).entries[0]!.end;
    if (filled > 0 && filled + bytes > shardBytes) {
      groups.push([]);
      filled = 0;
    }
    groups.at(-1)!.push(param);
    filled += bytes;
  }
  const map: Record<string, string> = {};
  let total = 0;
  for (const [i, group] of groups.entries()) {
    const file = `model-${pad(i + 1)}-of-${pad(groups.length)}.safetensors`;
    const plan = layout(
      group.map(({ name, shape }) => ({ name, dtype, shape })),
      { format: 'pt' },
    );
    await writeHoles(join(folder, file), plan);
    for (const { name } of group) map[name] = file;
    total += plan.fileBytes - plan.dataStart;
  }
  await writeFile(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  return total;
}

const pad = (n: number): string => String(n).padStart(5, '0');

async function writeHoles(path: string, plan: Layout): Promise<void> {
  const handle = await open(path, 'w');
  await handle.write(plan.header, 0, plan.header.length, 0);
  await handle.truncate(plan.fileBytes);
  await handle.close();
}
