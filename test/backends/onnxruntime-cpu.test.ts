import { onnxruntime } from '../../src/backends/onnxruntime/index.ts';
import { workplace } from './artifact.ts';
import { backendContract } from './contract.ts';
import { residentContract } from './contract-residents.ts';

const cpu = onnxruntime('cpu');
await backendContract(cpu);

const availability = await cpu.probe();
if (availability.available) residentContract(cpu, availability.device, workplace(), 2);
