import { defineReporter } from '../../src/index.ts';

/** A reporter in one file: summaries in, files out; it touches no disk and measures nothing. */
export const lines = defineReporter({
  name: 'lines',
  render: ({ rows }) => [
    {
      file: 'lines.txt',
      body: rows.map((row) => `${row.case_id} ${row.metric} ${row.value ?? 'n/a'}\n`).join(''),
    },
  ],
});
