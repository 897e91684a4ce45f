/**
 * Tensors that checkpoints carry and no graph of ours needs: they are computed from the configuration (position ids, rotary
 * frequencies, Swin's relative indices and masks), count training steps, or only scale a contrastive loss.
 */
const IGNORABLE = [
  /(^|\.)position_ids$/,
  /(^|\.)(inv_freq|cos_cached|sin_cached)$/,
  /(^|\.)num_batches_tracked$/,
  /(^|\.)relative_position_index$/,
  /(^|\.)relative_coords_table$/,
  /(^|\.)attn_mask$/,
  /(^|\.)(attn|attention)\.(masked_bias|causal_mask)$/,
  /^(.*\.)?logit_(scale|bias)$/,
];

/** BART's bias of the logits, which is zero in every published checkpoint and which newer writers leave out. */
export function zeroWhereAbsent(name: string): boolean {
  return /(^|\.)final_logits_bias$/.test(name);
}

/** Whether a checkpoint's tensor may go unused without a word. */
export function ignorableTensor(name: string): boolean {
  return IGNORABLE.some((pattern) => pattern.test(name));
}
