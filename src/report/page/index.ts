import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Reporter, ReportInput } from '../../core/report.ts';
import { chartsOf } from '../charts/index.ts';
import { pageFonts } from '../render/fonts.ts';
import { body } from './body.ts';
import { embeddedJson, html } from './text.ts';

const require = createRequire(import.meta.url);

/** Later ones refine earlier ones. */
const STYLES = ['base', 'parts', 'media'];

/** `report.html`: one file with everything inside, for any browser, without a network. */
export const page: Reporter = {
  name: 'html',
  render: (input) => [{ file: 'report.html', body: document(input) }],
};

function document(input: ReportInput): string {
  const { style, scripts } = assets();
  const configurations = chartsOf(input).charts.map(({ config }) => config);
  // Only these scripts may run, whatever a name in the records manages to smuggle in.
  const allowed = scripts
    .map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    .join(' ');
  const policy = `default-src 'none'; script-src ${allowed}; style-src 'unsafe-inline'; font-src data:; img-src data:; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Versus report · ${html(input.info.run.run_id)}</title>
<style>${style}</style>
</head>
<body>
${body(input)}
<script type="application/json" id="charts">${embeddedJson(configurations)}</script>
${scripts.map((text, i) => `<script${i === scripts.length - 1 ? ' type="module"' : ''}>${text}</script>`).join('\n')}
</body>
</html>
`;
}

interface Assets {
  readonly style: string;
  /** Chart.js, its error bars, and our own module. */
  readonly scripts: readonly string[];
}
let loaded: Assets | undefined;

function assets(): Assets {
  if (loaded) return loaded;
  // The builds for browsers are not among the packages' exports, but lie beside those for Node.
  const library = (name: string, file: string): string =>
    script(readFileSync(join(dirname(require.resolve(name)), file), 'utf8'));
  const own = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  const fonts = pageFonts()
    .map(
      ({ weight, url }) =>
        `@font-face{font-family:Inter;font-weight:${weight};src:url(${url}) format("woff2")}`,
    )
    .join('');
  loaded = {
    style: fonts + STYLES.map((name) => own(`style/${name}.css`)).join(''),
    scripts: [
      library('chart.js', 'chart.umd.min.js'),
      library('chartjs-chart-error-bars', 'index.umd.min.js'),
      // The page has no module loader, so the two files become one and the import between them goes.
      script(own('../charts/draw.mjs') + own('live.mjs').replace(/^import .*$/m, '')),
    ],
  };
  return loaded;
}

/** Without source maps, which a browser's tools would look for, and without anything that ends the element. */
const script = (text: string): string =>
  text.replace(/^\/\/# sourceMappingURL=.*$/gm, '').replace(/<\/script/gi, '<\\/script');
