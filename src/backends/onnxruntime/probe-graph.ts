/** The smallest graphs that prove a provider: y = x · x on two elements (opset 17), as ONNX files in base64. */
export const PROBE_GRAPHS = {
  float32:
    'CAhCAhAROkQKGQoBeAoBeBIBeRoJcHJvYmUvTXVsIgNNdWwSBXByb2JlWg8KAXgSCgoICAESBAoCCAJiDwoBeRIKCggIARIECgIIAg==',
  float16:
    'CAhCAhAROkQKGQoBeAoBeBIBeRoJcHJvYmUvTXVsIgNNdWwSBXByb2JlWg8KAXgSCgoICAoSBAoCCAJiDwoBeRIKCggIChIECgIIAg==',
} as const;
