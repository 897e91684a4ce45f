// Which questions, models, backends and datasets: the file to edit. Every plugin is a value; adding one is one file and one line here.
import shapes, { shapes as shapesOf } from './datasets/shapes/index.ts';
import stories from './datasets/stories/index.ts';
import { onnxruntime } from './src/backends/onnxruntime/index.ts';
import { reference } from './src/backends/reference.ts';
import { tfjs } from './src/backends/tfjs/index.ts';
import { defineConfig } from './src/index.ts';
import { shippedModels } from './src/pretrained/shipped.ts';
import { peak } from './src/workloads/peak.ts';
import { models } from './src/zoo/index.ts';
import classification from './suites/classification.ts';
import dataEfficiency, { large as dataEfficiencyLarge } from './suites/data-efficiency.ts';
import fineTuning, { large as fineTuningLarge } from './suites/fine-tuning.ts';
import resolution from './suites/resolution.ts';
import textTasks from './suites/text-tasks.ts';
import visionLanguage from './suites/vision-language.ts';
import zeroShot from './suites/zero-shot.ts';

export default defineConfig({
  suites: [
    ...[classification, zeroShot, textTasks, visionLanguage, resolution],
    ...[fineTuning, fineTuningLarge, dataEfficiency, dataEfficiencyLarge],
  ],
  backends: [
    onnxruntime('cpu'),
    onnxruntime('webgpu'),
    onnxruntime('cuda'),
    onnxruntime('tensorrt'),
    onnxruntime('dml'),
    onnxruntime('coreml'),
    tfjs('wasm'),
    tfjs('webgpu'),
    tfjs('tensorflow'),
    tfjs('cpu'),
    reference,
  ],
  models: [...models(), ...shippedModels()],
  datasets: [
    ...[shapes, stories],
    // Enough to learn from, for the suites of data efficiency; generated when one of them runs.
    shapesOf({ name: 'colours-600', size: 640, edge: 64, label: 'colour' }),
    shapesOf({ name: 'colours-3k', size: 3200, edge: 64, label: 'colour' }),
    shapesOf({ name: 'colours-38k', size: 38_400, edge: 64, label: 'colour' }),
  ],
  peak,
});
