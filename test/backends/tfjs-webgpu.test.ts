import { tfjs } from '../../src/backends/tfjs/index.ts';
import { backendContract } from './contract.ts';

await backendContract(tfjs('webgpu'));
