/** Operators whose rules are still to come; a test that meets one asserts that it is refused. */
export const LATER: ReadonlySet<string> = new Set([
  ...['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool'],
  ...['BatchNormalization', 'LayerNormalization', 'RMSNormalization', 'GroupNormalization'],
  ...['InstanceNormalization', 'LpNormalization', 'Resize', 'DepthToSpace', 'SpaceToDepth'],
]);
