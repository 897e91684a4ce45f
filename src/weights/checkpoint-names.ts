/**
 * How a checkpoint may spell the names of a graph's parameters; README.md of this folder lists it for users. A name is
 * `<wrappers><spelling of the graph's name>`; one choice of both holds for the whole file: the first with the most hits.
 */
interface Spelling {
  readonly label: string;
  /** [what a parameter's name starts with, what the file has in its place]; the first that fits is used. */
  readonly prefixes: readonly (readonly [string, string])[];
}

/** What training code puts before every name: DDP, torch.compile, PEFT, Lightning, averaged weights. */
const WRAPPERS = [
  'module.',
  '_orig_mod.',
  '_fsdp_wrapped_module.',
  'base_model.model.',
  'state_dict.',
  'ema_model.',
  'model.',
  'backbone.',
];
const MOST_WRAPPERS = 4;

/** Prefixes that a whole model has before a part, and a checkpoint of the part alone has not; or the other way round. */
const PARTS = [
  'model.',
  'vit.',
  'deit.',
  'swin.',
  'convnext.',
  'resnet.',
  'clip.',
  'siglip.',
  'transformer.',
  'language_model.',
  'language_model.model.',
  'model.language_model.',
  'vision_model.',
  'vision_tower.',
  'model.vision_tower.',
];

const SPELLINGS: readonly Spelling[] = [
  { label: '', prefixes: [] },
  // `_checkpoint_conversion_mapping` of transformers 4.52: LLaVA, its relatives and Qwen2-VL moved into one `model`.
  {
    label: 'as transformers has named LLaVA since 4.52',
    prefixes: [
      ['language_model.model.', 'model.language_model.'],
      ['language_model.lm_head.', 'lm_head.'],
      ['vision_tower.', 'model.vision_tower.'],
      ['multi_modal_projector.', 'model.multi_modal_projector.'],
      ['image_newline', 'model.image_newline'],
    ],
  },
  {
    label: 'as transformers has named Qwen2-VL since 4.52',
    prefixes: [
      ['visual.', 'model.visual.'],
      ['model.', 'model.language_model.'],
    ],
  },
  ...PARTS.map((p): Spelling => ({ label: `with '${p}' before each`, prefixes: [['', p]] })),
  ...PARTS.map((p): Spelling => ({ label: `without '${p}'`, prefixes: [[p, '']] })),
];

function spell(name: string, spelling: Spelling): string {
  for (const [ours, theirs] of spelling.prefixes) {
    if (name.startsWith(ours)) return theirs + name.slice(ours.length);
  }
  return name;
}

/** Until 2020 normalisations of TensorFlow's heritage kept its names, and old checkpoints still do. */
function oldNorm(name: string): string | null {
  const [, norm, kind] = /^(.*(?:layer_?norm\w*|norm\d?|ln(?:_\w+)?))\.(weight|bias)$/i.exec(name) ?? [];
  return norm === undefined ? null : `${norm}.${kind === 'weight' ? 'gamma' : 'beta'}`;
}

/** Every run of wrappers that all of a file's names start with, none first. */
function wrappersOf(tensors: readonly string[]): string[] {
  const found = [''];
  for (let prefix = ''; found.length <= MOST_WRAPPERS && tensors.length > 0; found.push(prefix)) {
    const next = WRAPPERS.find((w) => tensors.every((name) => name.startsWith(prefix + w)));
    if (next === undefined) break;
    prefix += next;
  }
  return found;
}

/**
 * Finds each parameter's tensor in a checkpoint.
 * @returns parameter name → tensor name, for those that were found, and how the file spells them ('' for: as the graph does)
 */
export function matchNames(
  params: readonly string[],
  tensors: readonly string[],
): { readonly names: ReadonlyMap<string, string>; readonly label: string } {
  const has = new Set(tensors);
  let best: { names: Map<string, string>; label: string } = { names: new Map(), label: '' };
  for (const wrapper of wrappersOf(tensors)) {
    for (const spelling of SPELLINGS) {
      const names = new Map<string, string>();
      for (const param of params) {
        const spelt = wrapper + spell(param, spelling);
        const candidates = [spelt, wrapper + param, oldNorm(spelt), oldNorm(wrapper + param)];
        const found = candidates.find((name) => name !== null && has.has(name));
        if (found) names.set(param, found);
      }
      if (names.size <= best.names.size) continue;
      const label = [wrapper && `below '${wrapper}'`, spelling.label].filter(Boolean).join(', ');
      best = { names, label };
      if (names.size === params.length) return best;
    }
  }
  return best;
}

/**
 * Names of the one matrix that embeds tokens and, in models that tie them, also projects the output; BART's kind calls it
 * `shared`, Phi-3-vision has a second name for it. Compared by the end of the name.
 */
export const EMBEDDING = /(^|\.)(lm_head|embed_tokens|shared|vision_embed_tokens\.wte)\.weight$/;
