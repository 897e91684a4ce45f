import type { Reporter } from '../core/report.ts';
import { gabFiles } from './gab.ts';
import { runJunit } from './junit.ts';

/** Reporters of a run for machines that judge it: JUnit XML, and github-action-benchmark's two JSON files. */
export const runReporters: readonly Reporter[] = [
  { name: 'junit', render: ({ info }) => [{ file: 'junit.xml', body: runJunit(info) }] },
  { name: 'gab', render: ({ rows }) => gabFiles(rows) },
];
