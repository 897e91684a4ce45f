import { htmlEscape } from 'escape-goat';
import { printable } from '../format.ts';
import type { Phrase } from '../statement.ts';

/** Text or an attribute's value, escaped and on one line. */
export const html = (text: string): string => htmlEscape(printable(text));

/** A sentence with its names set off. */
export const htmlPhrase = (phrase: Phrase): string =>
  phrase.map((part) => (typeof part === 'string' ? htmlEscape(part) : `<b>${html(part.name)}</b>`)).join('');

/** JSON that cannot end the script element that it stands in. */
export const embeddedJson = (value: unknown): string =>
  JSON.stringify(value)
    .replace(/</g, '\\u003c')
    .replace(/\u2028/g, '\\u2028')
    .replace(/\u2029/g, '\\u2029');
