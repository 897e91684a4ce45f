import { random, seedOf } from '../../src/core/random.ts';
import { COLOUR_NAMES, type ColourName, isHeldOut, SHAPES, type ShapeName } from '../shapes/scene.ts';

export const SPLITS = ['train', 'val', 'test', 'heldout'] as const;
export type Split = (typeof SPLITS)[number];

/** A few sentences that hang together, and one question that they answer. */
export interface Story {
  readonly text: string;
  readonly question: string;
  readonly answer: string;
  readonly kind: string;
  readonly things: readonly Thing[];
}

interface Thing {
  readonly colour: ColourName;
  readonly shape: ShapeName;
}

const PLACES = ['in the box', 'on the table', 'in the picture', 'on the floor'] as const;
/** Relations with their converses. */
const RELATIONS = [
  ['above', 'below'],
  ['below', 'above'],
  ['left of', 'right of'],
  ['right of', 'left of'],
  ['inside', 'around'],
  ['around', 'inside'],
] as const;
const NAMES = ['anna', 'ben', 'clara', 'david'] as const;

type Draw = ReturnType<typeof random>;

/** Two things that differ in shape and in colour. */
function things(r: Draw): [Thing, Thing] {
  const [first, second] = r.shuffle(SHAPES);
  const [red, blue] = r.shuffle(COLOUR_NAMES);
  return [
    { shape: first!, colour: red! },
    { shape: second!, colour: blue! },
  ];
}

const many = (n: number, { colour, shape }: Thing): string =>
  `${n} ${colour} ${shape}${n === 1 ? '' : shape.endsWith('s') ? 'es' : 's'}`;
const plural = (shape: ShapeName): string => `${shape}${shape.endsWith('s') ? 'es' : 's'}`;
const name = ({ colour, shape }: Thing): string => `${colour} ${shape}`;
const one = (thing: Thing): string => `${thing.colour === 'orange' ? 'an' : 'a'} ${name(thing)}`;
const is = (n: number): string => (n === 1 ? 'is' : 'are');

type Kind = (r: Draw) => Omit<Story, 'kind'>;

/** What there is, and how many in all or of one kind. */
const count: Kind = (r) => {
  const [a, b] = things(r);
  const [n, m] = [1 + r.below(9), 1 + r.below(9)];
  const text = `there ${is(n)} ${many(n, a)} and ${many(m, b)} ${r.pick(PLACES)}.`;
  const asked = r.pick([
    ['how many shapes are there?', n + m],
    [`how many ${plural(a.shape)} are there?`, n],
    [`how many ${plural(b.shape)} are there?`, m],
  ] as const);
  return { text, question: asked[0], answer: `${asked[1]}`, things: [a, b] };
};

/** Some are taken away or added. */
const change: Kind = (r) => {
  const [a, b] = things(r);
  const who = r.pick(NAMES);
  const takes = r.below(2) === 0;
  const n = takes ? 2 + r.below(8) : 1 + r.below(8);
  const k = takes ? 1 + r.below(n - 1) : 1 + r.below(9 - n);
  const m = 1 + r.below(9);
  const text =
    `${who} has ${many(n, a)} and ${many(m, b)}. ` +
    `${who} ${takes ? 'gives away' : 'finds'} ${many(k, a)}.`;
  const question = `how many ${plural(a.shape)} does ${who} have now?`;
  return { text, question, answer: `${takes ? n - k : n + k}`, things: [a, b] };
};

/** Where one is, seen from the other. */
const relation: Kind = (r) => {
  const [a, b] = things(r);
  const [says, converse] = r.pick(RELATIONS);
  const text = `the ${name(a)} is ${says} the ${name(b)}.`;
  const asked = r.pick([
    [`what is ${says} the ${b.shape}?`, `the ${name(a)}`],
    [`what is ${converse} the ${a.shape}?`, `the ${name(b)}`],
    [`where is the ${b.shape}?`, `${converse} the ${name(a)}`],
  ] as const);
  return { text, question: asked[0], answer: asked[1], things: [a, b] };
};

/** Whose is which, and in which colour. */
const owner: Kind = (r) => {
  const [a, b] = things(r);
  const [first, second] = r.shuffle(NAMES) as [string, string];
  const text = `${first} has ${one(a)}. ${second} has ${one(b)}.`;
  const asked = r.pick([
    [`which colour is the ${a.shape}?`, a.colour],
    [`which colour is the ${b.shape}?`, b.colour],
    [`who has the ${a.shape}?`, first],
    [`who has the ${b.shape}?`, second],
    [`what does ${second} have?`, one(b)],
  ] as const);
  return { text, question: asked[0], answer: asked[1], things: [a, b] };
};

const KINDS = { count, change, relation, owner } as const;

/** The story of an index: a pure function of its arguments. */
export function storyAt(index: number, seed: number): Story {
  const r = random((seed * 1_000_003 + index) ^ 0x570127);
  const kind = r.pick(Object.keys(KINDS) as (keyof typeof KINDS)[]);
  return { ...KINDS[kind](r), kind };
}

/**
 * Stories with a pair of shape and colour that `shapes` holds out are held out here too; of the others the text decides, so
 * that equal ones lie in the same split.
 */
export function splitOf({ text, question, things: told }: Story): Split {
  if (told.some(({ shape, colour }) => isHeldOut(shape, colour))) return 'heldout';
  const drawn = random(seedOf(`${text} ${question}`)).below(20);
  return drawn === 0 ? 'val' : drawn === 1 ? 'test' : 'train';
}
