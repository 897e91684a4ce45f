/**
 * How a checkpoint may spell the names of a graph's parameters. Rules are tried in this order and the first with the most
 * hits holds for the whole file; a name that a rule doesn't touch, or whose new spelling the file lacks, is looked up unchanged.
 */
interface Spelling {
  readonly label: string;
  /** [what a parameter's name starts with, what the file has in its place]; the first that fits is used. */
  readonly prefixes: readonly (readonly [string, string])[];
}

/** Prefixes that a wrapper adds, or that a checkpoint of the bare backbone lacks. */
const OPTIONAL_PREFIXES = [
  'model.',
  'module.',
  '_orig_mod.',
  'base_model.model.',
  'vit.',
  'deit.',
  'swin.',
  'convnext.',
  'resnet.',
  'clip.',
  'language_model.',
  'vision_model.',
];

const SPELLINGS: readonly Spelling[] = [
  { label: 'as the graph names them', prefixes: [] },
  // transformers moved the head and the towers of LLaVA-like models in 4.52; both layouts are on the hub.
  {
    label: 'LLaVA since transformers 4.52',
    prefixes: [
      ['language_model.model.', 'model.language_model.'],
      ['language_model.lm_head.', 'lm_head.'],
      ['vision_tower.', 'model.vision_tower.'],
      ['multi_modal_projector.', 'model.multi_modal_projector.'],
    ],
  },
  {
    label: 'Qwen2-VL since transformers 4.52',
    prefixes: [
      ['visual.', 'model.visual.'],
      ['model.', 'model.language_model.'],
    ],
  },
  ...OPTIONAL_PREFIXES.map((p): Spelling => ({ label: `with '${p}' before each`, prefixes: [['', p]] })),
  {
    label: 'Qwen2-VL since transformers 4.52',
    prefixes: [
      ['visual.', 'model.visual.'],
      ['model.', 'model.language_model.'],
    ],
  },
  ...OPTIONAL_PREFIXES.map((p): Spelling => ({ label: `without '${p}'`, prefixes: [[p, '']] })),
];

function spell(name: string, spelling: Spelling): string {
  for (const [ours, theirs] of spelling.prefixes) {
    if (name.startsWith(ours)) return theirs + name.slice(ours.length);
  }
  return name;
}

/**
 * Finds each parameter's tensor in a checkpoint.
 * @returns parameter name → tensor name, for those that were found, and how the file spells them
 */
export function matchNames(
  params: readonly string[],
  has: (tensor: string) => boolean,
): { readonly names: ReadonlyMap<string, string>; readonly label: string } {
  let best: { names: Map<string, string>; label: string } = { names: new Map(), label: '' };
  for (const spelling of SPELLINGS) {
    const names = new Map<string, string>();
    for (const param of params) {
      const spelt = spell(param, spelling);
      if (has(spelt)) names.set(param, spelt);
      else if (has(param)) names.set(param, param);
    }
    if (names.size > best.names.size) best = { names, label: spelling.label };
    if (names.size === params.length) break;
  }
  return best;
}

/**
 * What shares its rows with the input embedding (the output projection; the encoder's and decoder's own names for BART's
 * shared table), and that embedding, by the end of their names.
 */
export const TIED_HEAD = /(^|\.)(lm_head|(encoder|decoder)\.embed_tokens)\.weight$/;
export const TIED_EMBEDDING = /(^|\.)(embed_tokens|shared)\.weight$/;
/** Tensors that may repeat the embedding: those, and Phi-3-vision's second name for the table itself. */
export const EMBEDDING_COPY =
  /(^|\.)(lm_head|(encoder|decoder)\.embed_tokens|vision_embed_tokens\.wte)\.weight$/;
