import { printable } from '../format.ts';
import type { Phrase } from '../statement.ts';

/**
 * Text that Markdown (GitHub's flavour) shows as it is: no emphasis, links, HTML, code, mentions or table cells come out of it.
 * Source: GitHub Flavored Markdown Spec, section 6.1 (any ASCII punctuation may be escaped with a backslash).
 */
export const md = (text: string): string => escapeLine(printable(text));

function escapeLine(text: string): string {
  return text
    .replace(/[\\`*_{}[\]<>#|!~&$@]/g, '\\$&')
    .replace(/:(?=\/\/)/g, '\\:')
    .replace(/www\./gi, (www) => `${www.slice(0, 3)}\\.`);
}

/** A sentence with its names in bold. Its own words keep their blanks beside the names. */
export const mdPhrase = (phrase: Phrase): string =>
  phrase.map((part) => (typeof part === 'string' ? escapeLine(part) : `**${md(part.name)}**`)).join('');
