import { join } from 'node:path';
import type { Graph } from '../../src/core/graph.ts';
import type { ModelDef } from '../../src/core/model.ts';
import { readParam } from '../../src/core/read-param.ts';
import type { Tensors } from '../../src/core/tensor.ts';
import { modelIn } from '../../src/verify/folder.ts';
import { readSafetensors, seeded } from '../../src/weights/index.ts';

const FIXTURES = join(import.meta.dirname, '..', 'fixtures');

/** A fixture's model, with all that was recorded of it by the names in the file. */
export async function fixture(name: string): Promise<{ model: ModelDef; io: Tensors }> {
  const dir = join(FIXTURES, name);
  const io = await readSafetensors(join(dir, 'io.safetensors'));
  const inputs = Object.entries(io).flatMap(([key, t]) =>
    key.startsWith('input.') ? [[key.slice('input.'.length), t] as const] : [],
  );
  return { model: await modelIn(dir, { inputs: Object.fromEntries(inputs), expected: {} }), io };
}

/** The numbers of a joined graph's parameters, from the model's checkpoint or seeded. */
export async function numbersOf(model: ModelDef, graph: Graph): Promise<Tensors> {
  const wanted = graph.params.filter((p) => !p.data);
  const source = await (model.weights ?? seeded()).open(
    Object.values(await model.build(model.config)).flatMap((g) => g.params.filter((p) => !p.data)),
  );
  const read: Tensors = {};
  for (const param of wanted) read[param.name] = await readParam(source, param);
  await source.close();
  return read;
}
