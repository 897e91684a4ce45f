import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { backendContract } from './contract.ts';

await backendContract(onnxruntime('webgpu'));
