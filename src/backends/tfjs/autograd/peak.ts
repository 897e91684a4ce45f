import type * as Tf from '@tensorflow/tfjs-core';

/** The part of tfjs's Engine that books every tensor that comes into being. */
interface Books {
  trackTensor(tensor: Tf.Tensor, backend: unknown): void;
}

/** The most bytes that tensors of the process held at a time, from when it starts to when it stops. */
export class TensorPeak {
  readonly #books: Books;
  readonly #own: Books['trackTensor'];
  #bytes: number;

  constructor(tf: typeof Tf) {
    this.#books = tf.engine() as unknown as Books;
    this.#own = this.#books.trackTensor;
    this.#bytes = tf.memory().numBytes;
    this.#books.trackTensor = (tensor, backend) => {
      this.#own.call(this.#books, tensor, backend);
      this.#bytes = Math.max(this.#bytes, tf.memory().numBytes);
    };
  }

  get bytes(): number {
    return this.#bytes;
  }

  stop(): void {
    this.#books.trackTensor = this.#own;
  }
}
