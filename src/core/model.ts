import type { HostFeatures } from './features.ts';
import type { Graph, Param } from './graph.ts';

/** What a model is for; it decides which workloads fit. */
export type Task = 'classify' | 'embed' | 'generate';

/**
 * An image processor as published with a checkpoint. Steps run in this order: resize, centre crop, ×rescale, (x − mean) / std.
 * Works on 8-bit RGB, rounds to 8 bit after resizing as Pillow does.
 */
export interface ImagePreprocess {
  /** `shortest`: scale so that the shorter edge has this many pixels; else the exact height and width. */
  readonly resize: { readonly shortest: number } | { readonly height: number; readonly width: number };
  readonly kernel: 'bilinear' | 'bicubic';
  /** `rounding` of an odd margin: `floor` as transformers does (default), `even` (half to even) as torchvision does. */
  readonly crop?: { readonly height: number; readonly width: number; readonly rounding?: 'floor' | 'even' };
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Factor before normalising; 1/255 unless said otherwise. */
  readonly rescale?: number;
}

interface Normalise {
  readonly kernel: 'bilinear' | 'bicubic';
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/**
 * An image of any size as a grid of square crops beside a view of the whole: Phi-3-vision's HD transform
 * (`image_processing_phi3_v.py` of the published checkpoint). Makes `global_view` [batch, 3, side, side] and
 * `crops` [batch, rows, columns, 3, side, side].
 */
export interface CropsPreprocess extends Normalise {
  readonly kind: 'crops';
  readonly side: number;
  /** rows × columns is at most this. */
  readonly maxCrops: number;
}

/**
 * An image of any size as a sequence of flattened patches: Qwen2-VL's processor (transformers'
 * `image_processing_qwen2_vl.py`). Makes `pixel_values` [batch, patches, 3 · temporal · patch²] in merge order and
 * `patch_positions` int64 [patches, 2], row and column of each patch; patches are merge² · tokens, and graphs declare them
 * so (`4*tokens`), which keeps `tokens` a whole number. Images of one batch have one size.
 */
export interface PatchesPreprocess extends Normalise {
  readonly kind: 'patches';
  readonly patch: number;
  /** Edge of the square of patches that becomes one token. */
  readonly merge: number;
  /** Frames per patch; a still image is repeated. */
  readonly temporal: number;
  readonly minPixels: number;
  readonly maxPixels: number;
}

/** How a text tower that reads its padding wants its texts. */
export interface TextInput {
  /** Tokens of every text: a longer one is cut, a shorter one padded. */
  readonly context: number;
  /** The id that pads; the tokenizer's own when left out. */
  readonly pad?: number;
}

/** Parts of a vision-language model that can be trained apart. */
export const PARTS = ['vision', 'text', 'cross-modal'] as const;
export type Part = (typeof PARTS)[number];

/**
 * Which parameters belong to which part: starts of parameter names, cut at dots (`vision_tower`,
 * `decoder.layers.*.encoder_attn`; `*` stands for one segment, '' for every name). The longest that fits decides.
 */
export type Parts = Readonly<Partial<Record<Part, readonly string[]>>>;

/**
 * Where numbers come from. `read` yields a parameter's little-endian bytes in the parameter's own dtype, in order, in chunks
 * that are valid only until the next is asked for. `into` is memory that the source may use for them in place of new, each
 * from its beginning.
 */
export interface WeightSource {
  /**
   * Identity of the numbers on this machine, part of the artifact's cache key: equal ids mean equal bytes. It has to be cheap,
   * so it may be which file they lie in and when that changed; different ids may then mean equal bytes.
   */
  readonly id: string;
  /**
   * Identity of the numbers wherever they are, for records: equal on every machine for equal bytes. Only where it is known
   * without reading them; left out, they are hashed while they are written into an artifact.
   */
  readonly content?: string;
  /** For people: `seeded(0)`, `safetensors(path)`. */
  readonly label: string;
  /** False for seeded numbers: quality metrics are then not reported. */
  readonly trained: boolean;
  read(param: Param, into?: Uint8Array): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export interface WeightOptions {
  /** A place for what is costly to get again: downloads. */
  readonly cacheDir?: string;
  /** What is being done, and how many bytes of how many are done where that is known. */
  readonly progress?: (what: string, done?: number, total?: number) => void;
}

/** ONNX files by graph name, and where they are from. */
export interface BroughtGraphs {
  readonly label: string;
  readonly files: Readonly<Record<string, string>>;
}

/** A weight source that has not been opened: what a config file says. `params` are all weights and buffers of the model. */
export interface WeightSpec {
  readonly label: string;
  /** Where a checkpoint on this machine lies: its file, or the folder that has its configuration, too. */
  readonly path?: string;
  open(params: readonly Param[], options?: WeightOptions): Promise<WeightSource>;
  /**
   * Weights that come inside graphs: ONNX files by graph name, used as they are in place of what `build` makes.
   * `names` are those of the model's graphs; nothing calls `open` then.
   */
  graphs?(names: readonly string[], options?: WeightOptions): Promise<BroughtGraphs>;
}

export interface Published {
  /** Number of learnt parameters. */
  readonly parameters?: number;
  /** The number where only a rounded one was published, as it is written there: `0.23B`. */
  readonly rounded?: string;
  /** Multiply–accumulates of one forward pass at batch 1 and the published resolution. */
  readonly macs?: number;
  readonly source: string;
}

/**
 * A model: hyperparameters and the function that turns them into graphs.
 * Graph names and values by task (the layout that exporters for the hub use, so that foreign files fit too):
 * - classify: `model` (pixel_values [batch,3,H,W] → logits [batch,classes]; with `features`, those in place of pixel_values);
 * - embed: `vision` (pixel_values → image_embeds) and `text` (input_ids, attention_mask [batch,sequence] → text_embeds), both
 *   L2-normalised; without attention_mask where padding is read as text, and then with `text` below;
 * - generate, language: `model` (input_ids [batch,sequence], attention_mask [batch,past+sequence], position_ids [batch,sequence],
 *   past_key_values.N.key/value [batch,kv_heads,past,head_dim] → logits, present.N.key/value);
 * - generate, vision-language: `vision` (pixel_values → image_features [batch, tokens, width]), `embed` (input_ids →
 *   inputs_embeds), `decoder` (inputs_embeds, attention_mask, position_ids, past_key_values.* → logits, present.*);
 *   with `tiling`, `vision` takes what that makes; with several position axes position_ids is [axes, batch, sequence]
 *   (three: frame, row and column, by `gridPositions`);
 * - generate, encoder and decoder: `vision`, `embed`; `encoder` (inputs_embeds [batch, source, width], attention_mask
 *   [batch, source] → last_hidden_state, present.N.encoder.key/value [batch, heads, source, head_dim]); `decoder`
 *   (inputs_embeds [batch, sequence, width], encoder_attention_mask [batch, source], past_key_values.N.encoder.* and
 *   past_key_values.N.decoder.* [batch, heads, past, head_dim] → logits, present.N.decoder.*), whose positions follow from
 *   the length of the cache.
 */
export interface ModelDef<C = unknown> {
  readonly name: string;
  /** The architecture: `resnet`, `vit`, `clip`, `qwen2`, `llava`, `qwen2-vl`. */
  readonly family: string;
  readonly task: Task;
  readonly config: C;
  build(config: C): Record<string, Graph> | Promise<Record<string, Graph>>;
  readonly published?: Published;
  readonly preprocess?: ImagePreprocess;
  /** In place of `preprocess`, for a `vision` graph that takes images of any size. */
  readonly tiling?: CropsPreprocess | PatchesPreprocess;
  /** Computed of each image on the host and fed to `model` as `features` [batch, …]; `preprocess` then yields bytes, 0…255. */
  readonly features?: HostFeatures;
  /** Of an `embed` model whose text tower reads its padding (SigLIP); others take texts of any length. */
  readonly text?: TextInput;
  /** The token that the decoder of an encoder–decoder starts its answer with; 2, as in BART, when left out. */
  readonly decoderStart?: number;
  /** Of an encoder–decoder with tables of positions: the most tokens that a prompt may have, and an answer. */
  readonly context?: number;
  /** For scopes of training and for people; a model without it is one whole. */
  readonly parts?: Parts;
  /** Seeded weights unless said otherwise. */
  readonly weights?: WeightSpec;
  /** Sizes for symbolic dimensions where a graph of the user's leaves them open (`batch` is set by the case). */
  readonly dims?: Readonly<Record<string, number>>;
  /** A user's own ONNX files by graph name: used as they are, `build` decodes them. */
  readonly files?: Readonly<Record<string, string>>;
  /** The model's own tokenizer.json, or the folder that holds it; workloads may name another. */
  readonly tokenizer?: string;
  /** Class names by logit, where the model was trained on something. */
  readonly classes?: readonly string[];
}

/** One graph on disk, as a backend gets it. */
export interface Artifact {
  /** The model's name, for messages. */
  readonly model: string;
  /** Which of the model's graphs. */
  readonly graphName: string;
  /** Absolute path of `<graph>.onnx`; weights lie beside it as external data. */
  readonly path: string;
  /** Identity of graph and weights by their content, hex: the same on every machine, wherever the weights came from. */
  readonly sha256: string;
  /** A file of somebody else's: its inputs and outputs may go by an exporter's names. */
  readonly foreign?: true;
  /** The graph as records, decoded on first use; initialisers larger than a few KiB have no `data`. */
  graph(): Promise<Graph>;
  /** The initialisers' bytes. */
  weights(): Promise<WeightSource>;
}
