// A real projection that adds values up, and that tests can make fail in every way.
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import type { Transaction } from "@muster/db";
import type { OwnedShards, Projection } from "../ports/ports.ts";
import { addToSum } from "./sums-store.ts";

export class SummingProjection implements Projection {
  readonly deadLettered: { shard: number; position: number | undefined }[] = [];
  applyCalls = 0;
  largestBatch = 0;
  /** Called at the beginning of every batch. */
  beforeApply: (messages: readonly Envelope[], trx: Transaction) => Promise<void> | void = () => {};
  /** Called at the end of every batch, still inside the transaction. */
  afterApply: (messages: readonly Envelope[], trx: Transaction) => Promise<void> | void = () => {};
  onPrepare: (messages: readonly Envelope[]) => Promise<number> = async (messages) => messages.length;
  onWork: (owned: OwnedShards) => Promise<number> = async () => Number.POSITIVE_INFINITY;
  #busy = 0;
  overlaps = 0;

  async prepare(messages: readonly Envelope[]): Promise<number> {
    return this.#alone(() => this.onPrepare(messages));
  }

  async apply(trx: Transaction, messages: readonly Envelope[]): Promise<void> {
    await this.#alone(async () => {
      this.applyCalls += 1;
      this.largestBatch = Math.max(this.largestBatch, messages.length);
      await this.beforeApply(messages, trx);
      for (const message of messages) {
        await addToSum(trx, message.shard, valueIn(message), Number(message.position));
      }
      await this.afterApply(messages, trx);
    });
  }

  async onDeadLetter(trx: Transaction, envelope: Envelope | undefined, shard: number): Promise<void> {
    const position = envelope === undefined ? undefined : Number(envelope.position);
    // Counts as a message with the value 0.
    if (position !== undefined) await addToSum(trx, shard, 0, position);
    this.deadLettered.push({ shard, position });
  }

  async work(owned: OwnedShards): Promise<number> {
    return this.#alone(() => this.onWork(owned));
  }

  async #alone<T>(body: () => Promise<T>): Promise<T> {
    this.#busy += 1;
    if (this.#busy > 1) this.overlaps += 1;
    try {
      return await body();
    } finally {
      this.#busy -= 1;
    }
  }
}

function valueIn(message: Envelope): number {
  return Number(Buffer.from(message.data).toString("utf8"));
}
