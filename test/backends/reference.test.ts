import { reference } from '../../src/backends/reference.ts';
import { backendContract } from './contract.ts';

await backendContract(reference);
