// The consuming side: see the class.
import type { ShardConsumerOptions } from "./consumer-options.ts";

/** A worker: start it, stop it. */
export class ShardConsumer {
  readonly name: string;

  constructor(options: ShardConsumerOptions) {
    this.name = `consumer.${options.consumer}.${options.source}`;
  }

  async start(): Promise<void> {}

  /** Finishes the fold, and frees its shards so that another replica takes them at once. */
  async stop(): Promise<void> {}

  /** The folded position of every shard, whoever owns it. */
  async positions(): Promise<number[]> {
    return [];
  }

  /**
   * Resolves to true once every shard is folded up to its position (0: whatever it is), to false if
   * that takes longer than `timeoutMs` or the signal aborts. Works in every replica.
   */
  async waitFolded(
    _positions: readonly number[],
    _options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<boolean> {
    return false;
  }

  /** Has `work` called soon. */
  wake(): void {}

  ownedShards(): number[] {
    return [];
  }
}
