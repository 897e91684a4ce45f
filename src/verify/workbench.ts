import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { reasonOf, VersusError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { Artifact } from '../core/model.ts';
import { encodeOnnx, openOnnx } from '../graph/onnx/index.ts';
import { OWNER } from '../weights/owner.ts';

interface Place {
  readonly path: string;
  readonly offset: number;
}

/**
 * Graphs that are made of an artifact's graph, as files that backends open. Their weights stay where they are: in a folder of
 * its own lies a hard link to each file that holds some (the .onnx file itself, too), since runtimes refuse weights outside
 * the model's folder and links by name. Only where a disk has no hard links is a file copied, on the disk.
 */
export class Workbench {
  readonly graph: Graph;
  readonly #artifact: Artifact;
  readonly #places: ReadonlyMap<string, Place>;
  readonly #folder: string;
  readonly #linked = new Map<string, string>();
  #made = 0;

  private constructor(artifact: Artifact, graph: Graph, places: ReadonlyMap<string, Place>, folder: string) {
    this.#artifact = artifact;
    this.graph = graph;
    this.#places = places;
    this.#folder = folder;
  }

  /** @throws VersusError as `openOnnx`; `infrastructure` where no folder can be made */
  static async of(artifact: Artifact, cacheDir: string): Promise<Workbench> {
    const { graph, weights, places } = await openOnnx(artifact.path);
    await weights.close();
    const [held] = places.values();
    return new Workbench(artifact, graph, places, await makeFolder(resolve(cacheDir), held?.path));
  }

  /**
   * A graph over (some of) the artifact's parameters as an artifact of its own.
   * @param untyped outputs whose declared type is a guess
   */
  async make(graph: Graph, untyped?: ReadonlySet<string>): Promise<Artifact> {
    const external = new Map<string, { location: string; offset: number }>();
    for (const { name } of graph.params) {
      const place = this.#places.get(name);
      if (place) external.set(name, { location: await this.#link(place.path), offset: place.offset });
    }
    const path = join(this.#folder, `${this.#made++}.onnx`);
    await writeFile(path, encodeOnnx(graph, { external, ...(untyped && { untyped }) }));
    const { path: original, model, graphName, sha256 } = this.#artifact;
    return {
      ...{ model, graphName, path, sha256: `${sha256}/${this.#made}` },
      graph: async () => graph,
      weights: async () => (await openOnnx(original)).weights,
    };
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** The name under which a file of weights lies in our folder. */
  async #link(file: string): Promise<string> {
    const known = this.#linked.get(file);
    if (known !== undefined) return known;
    const name = `weights-${this.#linked.size}`;
    const target = join(this.#folder, name);
    try {
      if (!(await linked(file, target))) await copyFile(file, target, constants.COPYFILE_FICLONE);
    } catch (error) {
      throw new VersusError('infrastructure', `the weights cannot be copied: ${reasonOf(error)}`, {
        where: target,
        next: 'make room there, or name another cache folder in the config',
      });
    }
    this.#linked.set(file, name);
    return name;
  }
}

const linked = (file: string, target: string): Promise<boolean> =>
  link(file, target).then(
    () => true,
    () => false,
  );

/**
 * A folder in the cache, by a name that the cache clears away when we are killed; where its disk is another than that of the
 * weights, beside these, if that folder may be written.
 */
async function makeFolder(cacheDir: string, weights: string | undefined): Promise<string> {
  const name = `.building-${OWNER}-${randomBytes(4).toString('hex')}`;
  const folder = join(cacheDir, name);
  try {
    await mkdir(folder, { recursive: true });
    if (weights === undefined || (await linksInto(folder, weights))) return folder;
    const beside = join(dirname(weights), name);
    const made = await mkdir(beside).then(
      () => true,
      () => false,
    );
    if (!made) return folder;
    await rm(folder, { recursive: true });
    return beside;
  } catch (error) {
    throw new VersusError('infrastructure', `a folder cannot be made: ${reasonOf(error)}`, {
      where: folder,
      next: 'name a cache folder in the config that can be written',
    });
  }
}

async function linksInto(folder: string, file: string): Promise<boolean> {
  const trial = join(folder, 'trial');
  const works = await linked(file, trial);
  await rm(trial, { force: true });
  return works;
}
