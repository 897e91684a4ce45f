import { createHash } from 'node:crypto';
import { VersusError } from '../core/errors.ts';
import type { Param } from '../core/graph.ts';
import type { WeightSpec } from '../core/model.ts';
import { type Tensors, toBytes } from '../core/tensor.ts';
import { convert, convertible } from '../weights/convert.ts';

/**
 * The weights of a model with adapters beside it: those of the model from one place, those of the adapters from another.
 * @param trained names of the adapters' parameters, as `addLora` gives them
 */
export function withAdapters(base: WeightSpec, trained: readonly string[], adapters: WeightSpec): WeightSpec {
  const own = new Set(trained);
  const label = `${base.label} with ${adapters.label}`;
  return {
    label,
    open: async (params, options) => {
      const source = await base.open(
        params.filter((p) => !own.has(p.name)),
        options,
      );
      const beside = await adapters
        .open(
          params.filter((p) => own.has(p.name)),
          options,
        )
        .catch(async (error: unknown) => {
          await source.close();
          throw error;
        });
      const known = source.content !== undefined && beside.content !== undefined;
      return {
        id: `${source.id}+${beside.id}`,
        ...(known && { content: `${source.content}+${beside.content}` }),
        label,
        trained: source.trained,
        read: (param, into) => (own.has(param.name) ? beside : source).read(param, into),
        close: async () => {
          await source.close();
          await beside.close();
        },
      };
    },
  };
}

/**
 * The weights of a model for whoever reads some of them: a checkpoint has to fit the model as a whole.
 * @param params all weights and buffers of the model
 */
export function partly(base: WeightSpec, params: readonly Param[]): WeightSpec {
  return { label: base.label, open: (_, options) => base.open(params, options) };
}

/** Weights that are in memory, by parameter; floats are converted to the type that a parameter has. */
export function tensorWeights(tensors: Tensors, label: string): WeightSpec {
  return {
    label,
    open: async (params) => {
      const hash = createHash('sha256');
      for (const { name, shape, dtype } of params) {
        const t = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
        if (!t || String(t.shape) !== String(shape) || !convertible(t.dtype, dtype)) {
          const found = t ? `${t.dtype} [${t.shape}]` : 'nothing';
          throw new VersusError('input', `${name} should be ${dtype} [${shape}], found ${found}`, {
            where: label,
          });
        }
        hash.update(`${name} ${t.dtype} ${dtype} ${t.shape}\n`).update(toBytes(t.data));
      }
      const id = `tensors-${hash.digest('hex').slice(0, 32)}`;
      return {
        ...{ id, content: id, label, trained: true },
        async *read(param) {
          const t = tensors[param.name]!;
          const bytes = toBytes(t.data);
          const converted = convert(t.dtype, param.dtype, bytes);
          yield converted === bytes ? bytes.slice() : converted;
        },
        close: async () => {},
      };
    },
  };
}
