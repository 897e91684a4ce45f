import type { Command } from 'commander';
import { type Declare, json } from './declare.ts';

/** The command that trains. */
export function addTraining(root: Command, declare: Declare): void {
  root
    .command('train')
    .description(
      'train a model of the zoo or the config: all of it, a scope, or adapters (LoRA, QLoRA) beside it',
    )
    .argument('<model>', 'name in the zoo or the config')
    .option('--dataset <name>', 'what it learns from (default: shapes, for language models stories)')
    .option(
      '--scope <name>',
      'what trains: vision, decoder, cross-modal, vision+cross-modal or full (default: full)',
    )
    .option(
      '--lora <settings>',
      'adapters in place of the weights: r=8,alpha=16,dropout=0.05,targets=NAME+NAME or all-linear',
    )
    .option(
      '--qlora',
      'the frozen weights in blocks of 4 bits; adapters of every linear layer where --lora names none',
    )
    .option('--optimiser <name>', 'adamw, or sgd with momentum 0.9 (default: adamw)')
    .option('--lr <x>', 'highest learning rate (default: 3e-4; adapters 1e-3; sgd 1e-2)')
    .option('--warmup <n>', 'steps in which it rises to that (default: a tenth of them)')
    .option('--schedule <name>', 'how it falls then: cosine, linear or constant (default: cosine)')
    .option('--weight-decay <x>', 'of matrices (default: 0.01; sgd 0)')
    .option('--clip <norm>', 'largest norm of the gradients, 0 for any (default: 1)')
    .option('--batch <n>', 'samples of a step (default: 8)')
    .option('--micro-batches <n>', 'parts of a batch that go one after another: less memory (default: 1)')
    .option('--steps <n>', 'steps in all, those before a resume among them (default: 100)')
    .option('--sequence <n>', 'tokens of a text (default: of the longest, at most 512)')
    .option('--seed <n>', 'of order, drawn weights and dropout (default: 0)')
    .option(
      '--eval-every <n>',
      'steps between evaluations on held-out samples, 0 for none (default: before and after)',
    )
    .option('--eval-samples <n>', 'held-out samples of an evaluation at most', '256')
    .option('--save-every <n>', 'steps between checkpoints (default: a quarter of them)')
    .option('--backend <name>', 'backend to train on', 'onnxruntime-cpu')
    .option('--threads <n>', 'threads of an operator; the backend’s own choice when left out')
    .option('--precision <name>', 'fp32', 'fp32')
    .option(
      '--weights <source>',
      'checkpoint to begin with: a .safetensors file, its folder, or hub:owner/name@revision',
    )
    .option('--out <dir>', 'new folder for checkpoints and logs (default: training/MODEL-TIME)')
    .option('--resume <dir>', 'go on from the latest checkpoint of a training, or from one of its step-N')
    .option('--no-memory-check', 'train also where the predicted memory is not free')
    .option('--quiet', 'no progress on stderr')
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  versus train vit-tiny --dataset shapes --steps 500 --lr 1e-3 --out ./my-vit
  versus train llama-tiny --lora r=8,alpha=16,targets=q_proj+v_proj --steps 200
  versus train llava-1.5-7b --scope decoder --qlora --batch 8 --micro-batches 8 --weights ./llava-1.5-7b-hf
  versus train vit-b-16 --weights ./vit-base-patch16-224 --optimiser sgd --lr 0.01 --eval-every 50 --json
  versus train vit-tiny --resume ./my-vit --steps 1000

A checkpoint (step-N in the folder) is model.safetensors with all weights, for --weights, or for adapters what PEFT reads;
optimiser.safetensors and trainer.json beside it are what --resume goes on from. losses.csv and log.jsonl tell every step.
A resumed training keeps the settings that it began with; new ones may be --steps, --lr, --warmup, --schedule, --weight-decay
and --clip. Ctrl-C ends it after the step that runs, with a checkpoint.`,
    )
    .action(
      declare(
        () => import('../commands/train.ts'),
        (m) => m.trainCommand,
      ),
    );
}
