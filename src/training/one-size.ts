import type { Sample } from '../core/dataset.ts';
import { imageSize } from '../data/image.ts';
import { eachSample } from '../data/loader.ts';
import { imageOf } from '../data/samples.ts';
import type { Example } from './examples.ts';

/**
 * Of each list the examples whose image has the commonest width and height of the first list: a model that cuts images of any
 * size into pieces takes batches of one size alone.
 * @throws VersusError `input` naming the file that is no image
 */
export async function ofOneSize(
  training: readonly Example[],
  ...others: readonly (readonly Example[])[]
): Promise<Example[][]> {
  const lists = [training, ...others];
  const samples = [...new Set(lists.flat().flatMap(({ sample }) => (sample ? [sample] : [])))];
  const read = await eachSample(samples, async (sample) => {
    const { width, height } = await imageSize(imageOf(sample));
    return `${width}×${height}`;
  });
  const sizes = new Map<Sample, string>(samples.map((sample, i) => [sample, read[i]!]));
  const sizeOf = ({ sample }: Example): string | undefined => sample && sizes.get(sample);
  const counts = new Map<string | undefined, number>();
  for (const example of training) counts.set(sizeOf(example), (counts.get(sizeOf(example)) ?? 0) + 1);
  const [commonest] = [...counts].reduce((best, one) => (one[1] > best[1] ? one : best));
  return lists.map((examples) => examples.filter((example) => sizeOf(example) === commonest));
}
