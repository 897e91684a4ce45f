import { plural } from '../format.ts';
import type { Table, TableCell } from '../table.ts';
import { html } from './text.ts';

/** A table that sorts when a heading is clicked; `file` is where the rows are that do not fit. */
export function tableHtml(table: Table, file: string): string {
  const head = table.columns
    .map(
      ({ title, numeric }) =>
        `<th${numeric ? ' class="num"' : ''}><button type="button">${html(title)}</button></th>`,
    )
    .join('');
  const more =
    table.leftOut > 0
      ? `<p class="more">${plural(table.leftOut, 'more row')} in <a href="${html(file)}">${html(file)}</a></p>`
      : '';
  return `<div class="scroll"><table class="data"><caption>${html(table.caption)}</caption><thead><tr>${head}</tr></thead>
<tbody>${table.rows.map((row) => `<tr>${row.map(cellHtml).join('')}</tr>`).join('\n')}</tbody></table></div>${more}`;
}

function cellHtml(cell: TableCell): string {
  const whole = !cell.numeric && cell.text.length <= 32 ? 'whole' : '';
  const classes = [cell.numeric ? 'num' : whole, cell.muted ? 'muted' : ''].filter(Boolean).join(' ');
  const attributes = [
    classes ? ` class="${classes}"` : '',
    cell.order === undefined ? '' : ` data-order="${cell.order}"`,
    cell.hint ? ` title="${html(cell.hint)}"` : '',
  ];
  return `<td${attributes.join('')}>${html(cell.text)}${cell.note ? noteHtml(cell.note) : ''}</td>`;
}

/** A value with its unit stays on one line; a reason may break. */
const noteHtml = (note: string): string =>
  `<small${note.length <= 24 ? ' class="short"' : ''}>${html(note)}</small>`;
