import type { Command } from 'commander';
import { type Declare, json, list } from './declare.ts';

/** Commands that look at models, backends and the machine. */
export function addLooking(root: Command, declare: Declare): void {
  root
    .command('list')
    .description('what the config and the zoo offer')
    .argument('[what]', 'suites, models, backends, datasets or profiles (default: all)')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus list\n  versus list models --json')
    .action(
      declare(
        () => import('../commands/list.ts'),
        (m) => m.listCommand,
      ),
    );

  root
    .command('inspect')
    .description(
      'modules, parameters, MACs and graphs of a model or an ONNX file, and what of it would train',
    )
    .argument('<model>', 'name in the zoo or the config, or a path to an .onnx file')
    .option('--depth <n>', 'levels of modules to open: 0 for the model alone, all for every one', '3')
    .option('--scope <name>', 'what trains: vision, decoder, cross-modal, vision+cross-modal or full')
    .option(
      '--lora <settings>',
      'what a LoRA trains: r=8,alpha=16,targets=NAME,NAME or /REGEXP/ or all-linear',
    )
    .option('--batch <n>', 'batch size of the MACs', '1')
    .option('--dim <name=n...>', 'size of a symbolic dimension', list)
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  versus inspect vit-b-16
  versus inspect llava-1.5-7b --depth 5 --scope vision+cross-modal
  versus inspect vicuna-7b --lora r=8,alpha=16,targets=q_proj,v_proj
  versus inspect llava-1.5-7b --scope decoder --lora 'r=16,targets=/.*\\.(q|k|v|o)_proj/'
  versus inspect ./model.onnx --dim sequence=128 --json

Targets of a LoRA are PEFT's target_modules: the end of a module's name, or a pattern for the whole of it.`,
    )
    .action(
      declare(
        () => import('../commands/inspect.ts'),
        (m) => m.inspectCommand,
      ),
    );

  root
    .command('estimate')
    .description('memory, traffic and the least time of a model on a device, from its graphs: nothing is run')
    .argument('<model>', 'name in the zoo or the config, or a path to an .onnx file')
    .option(
      '--device <name...>',
      'h200, a100, l4, t4, rtx-4090, or this (measured now); default: all of them',
      list,
    )
    .option('--batch <n>', 'images or sequences at once', '1')
    .option('--prompt <n>', 'text tokens of the prompt, image tokens not counted')
    .option('--new-tokens <n>', 'tokens generated per sequence', '64')
    .option('--resolution <n>', 'images of N or HEIGHTxWIDTH pixels')
    .option('--dim <name=n...>', 'size of a symbolic dimension', list)
    .option('--precision <name>', 'how weights are stored: fp32, fp16, int8 or int4', 'fp32')
    .option('--train <how>', 'also one training step: full, lora or qlora')
    .option('--scope <name>', 'what trains: vision, decoder, cross-modal, vision+cross-modal or full')
    .option('--lora <settings>', 'of --train lora or qlora, for example r=8,targets=q_proj,v_proj')
    .option('--optimiser <name>', 'of the training step: adamw, momentum or sgd', 'adamw')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus estimate qwen2-72b --precision int4 --device h200\n  versus estimate vit-b-16 --batch 64 --resolution 384\n  versus estimate llava-1.5-7b --scope decoder --lora r=8,targets=q_proj,v_proj --device a100',
    )
    .action(
      declare(
        () => import('../commands/estimate.ts'),
        (m) => m.estimateCommand,
      ),
    );

  root
    .command('profile')
    .description('where the time of a model goes on a backend: by operator, or node by node')
    .argument('<model>', 'name in the zoo or the config, or a path to an .onnx file')
    .option('--backend <name>', 'backend to run it on', 'onnxruntime-cpu')
    .option('--graph <name>', 'which of its graphs, where there are several')
    .option('--by <what>', 'op: a row per operator; node: the slowest nodes, with their shapes', 'op')
    .option('--top <n>', 'rows of --by node, 0 for all of them', '20')
    .option('--batch <n>', 'images or sequences at once', '1')
    .option('--dim <name=n...>', 'size of a symbolic dimension', list)
    .option('--precision <name>', 'fp32, fp16, int8 or int4', 'fp32')
    .option('--rounds <n>', 'runs that count; the median of each node is shown', '10')
    .option('--threads <n>', 'threads of an operator; the backend’s own choice when left out')
    .option('--no-peak', 'leave out measuring the machine’s peaks, and the shares of them')
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  versus profile resnet-50
  versus profile vit-b-16 --backend onnxruntime-webgpu --batch 8
  versus profile qwen2-0.5b --dim sequence=128 --dim past=0 --by node --top 10
  versus profile clip-vit-b-32 --graph vision --precision fp16
  versus profile ./model.onnx --dim height=224 --dim width=224 --no-peak --json

GFLOP/s are 2 × multiply–accumulates of the graph ÷ time, GB/s what an operator reads and writes ÷ time. n/a: not known, as for
attention that a runtime fused. What is timed is each node by itself; the whole is faster without a profiler.`,
    )
    .action(
      declare(
        () => import('../commands/profile.ts'),
        (m) => m.profileCommand,
      ),
    );

  root
    .command('verify')
    .description("a model's outputs against recorded ones (a folder) or against another backend (a model)")
    .argument('[what]', 'folder with io.safetensors, name of a model, or path to an .onnx file')
    .option('--backend <name...>', 'backends to verify (default: onnxruntime-cpu)', list)
    .option('--against <name>', "reference backend, nothing optimised (default: the config's)")
    .option('--bisect', 'find the first node that differs between the two')
    .option('--batch <n>', 'batch size of the inputs that are drawn', '1')
    .option('--dim <name=n...>', 'size of a symbolic dimension', list)
    .option('--precision <name>', 'fp32, fp16, int8 or int4', 'fp32')
    .option('--seed <n>', 'of the inputs that are drawn', '0')
    .option('--weights <source>', "of a model: a checkpoint in place of the model's own (see export)")
    .option(
      '--tolerance <x>',
      "largest |difference| ÷ max(1, largest |expected|) (default: 1e-4 recorded, else the config's)",
    )
    .addOption(json())
    .addHelpText(
      'after',
      `
Examples:
  versus verify test/fixtures/tv-vit
  versus verify vit-tiny --backend onnxruntime-cpu,onnxruntime-webgpu --against reference
  versus verify ./model.onnx --backend onnxruntime-webgpu --dim sequence=48 --bisect
  versus verify ./my-checkpoint --backend reference --json

A folder holds config.json + weights.safetensors, or model.onnx, with its io.safetensors.
Exit codes: 0 every output is equal · 3 not`,
    )
    .action(
      declare(
        () => import('../commands/verify.ts'),
        (m) => m.verifyCommand,
      ),
    );

  root
    .command('export')
    .description('write a model as ONNX with its weights beside it')
    .argument('<model>', 'name in the zoo or the config')
    .requiredOption('--out <dir>', 'new or empty folder')
    .option('--precision <name>', 'fp32, fp16, int8 or int4', 'fp32')
    .option(
      '--weights <source>',
      'checkpoint: a .safetensors file, an index or their folder; or hub:owner/name@revision',
    )
    .option('--adapter <dir>', 'a LoRA in PEFT’s format, merged into the weights')
    .addOption(json())
    .addHelpText(
      'after',
      '\nExamples:\n  versus export resnet-50 --out ./resnet-50\n  versus export vit-b-16 --weights ./vit-base-patch16-224 --out ./vit\n  versus export llama-tiny --adapter ./training/llama-tiny/step-100 --out ./merged',
    )
    .action(
      declare(
        () => import('../commands/export.ts'),
        (m) => m.exportCommand,
      ),
    );

  root
    .command('doctor')
    .description('what can run on this machine, and the one command that would add what is missing')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus doctor\n  versus doctor --json')
    .action(
      declare(
        () => import('../commands/doctor.ts'),
        (m) => m.doctorCommand,
      ),
    );

  root
    .command('cache')
    .description('size of the artifact cache; `cache clean` empties it')
    .argument('[action]', 'clean')
    .addOption(json())
    .addHelpText('after', '\nExamples:\n  versus cache\n  versus cache clean')
    .action(
      declare(
        () => import('../commands/cache.ts'),
        (m) => m.cacheCommand,
      ),
    );
}
