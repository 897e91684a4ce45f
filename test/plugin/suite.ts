import { defineSuite } from '../../src/index.ts';
import { classify } from '../../src/workloads/classify.ts';
import { edgeNet } from './model.ts';

/** A suite in one file: the question, who is asked, and how. */
export const widths = defineSuite({
  name: 'widths',
  question: 'What does doubling the width of edge-net cost?',
  arms: [
    { name: 'narrow', model: edgeNet('edge-net-8', 8), tier: 'smoke' },
    { name: 'wide', model: edgeNet('edge-net-16', 16), tier: 'smoke' },
  ],
  uses: [{ workload: classify, params: { dataset: 'flats' }, batches: [{ size: 2 }] }],
  headline: ['latency', 'peak_rss'],
});
