import { type OpTable, typed } from './entry.ts';

/** Losses: scores [N, C, d1 … dk] against labels [N, d1 … dk], weights of the classes [C]. */
export const losses: OpTable = {
  SoftmaxCrossEntropyLoss: {
    inputs: [2, 3],
    outputs: 2,
    since: 12,
    infer: (c) => {
      const [scores, labels] = [c.rank(0, [2, 64]), c.in(1)];
      if (labels.dtype !== 'int64' && labels.dtype !== 'int32') c.fail('labels must be int64 or int32');
      const rows = [scores[0]!, ...scores.slice(2)];
      if (labels.shape.length !== rows.length) c.fail(`labels must have rank ${rows.length}`);
      const shape = rows.map((d, i) => c.same(d, labels.shape[i]!, `dimension ${i} of the labels`));
      if (c.has(2)) c.same(c.rank(2, 1)[0]!, scores[1]!, 'number of weights against the classes');
      const reduction = c.text('reduction', 'mean');
      if (!['none', 'sum', 'mean'].includes(reduction)) c.fail(`reduction ${reduction}`);
      const dtype = c.sameTypes(0, 2);
      return [typed(dtype, reduction === 'none' ? shape : []), typed(dtype, scores)];
    },
  },
};
