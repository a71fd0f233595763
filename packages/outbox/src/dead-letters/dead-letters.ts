// Moves messages that can never be applied to the dead letters, so that their shard continues, and replays
// them on request.
import { createHash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { bytesToUuid } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ShardConsumerOptions } from "../owned-shards/consumer-options.ts";
import { ATTEMPTS_MAX } from "../owned-shards/consumer-options.ts";
import { type ConsumerKey, lockOwned } from "../owned-shards/cursor-store.ts";
import type { OwnedShard } from "../owned-shards/owned-shard.ts";
import { isPoison, LostOwnership } from "../owned-shards/ownership.ts";
import * as store from "./dead-letter-store.ts";

export class DeadLetters {
  readonly #options: ShardConsumerOptions;
  readonly #key: ConsumerKey;
  readonly #deadLettered;

  constructor(options: ShardConsumerOptions) {
    this.#options = options;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#deadLettered = options.metrics.counter(
      "muster_dead_letters_total",
      "Messages moved to the dead letters because they can never be applied.",
      ["consumer", "source"],
    );
  }

  /** Stores the message in the transaction that advances the cursor past it. */
  async setAside(trx: Transaction, owned: OwnedShard, envelope: Envelope, error: unknown): Promise<void> {
    await this.#options.projection.onDeadLetter(trx, envelope, owned.shard);
    await store.insertDeadLetter(trx, {
      ...this.#deadLetter(owned, error),
      id: this.#options.ids.next(this.#options.clock.nowMs()),
      position: Number(envelope.position),
      type: envelope.type,
      raw: toBinary(EnvelopeSchema, envelope),
      attempts: owned.failingMessage?.attempts ?? ATTEMPTS_MAX,
    });
  }

  /**
   * Stores bytes that are not an envelope. The cursor stays: the producer is read for the intended message. A
   * repeat of the same bytes is stored once.
   */
  async setAsideUndecodable(owned: OwnedShard, raw: Uint8Array): Promise<void> {
    const id = this.#idOf(owned.shard, raw);
    const error = new Error("the bytes are not an envelope of this shard");
    const isNew = await this.#options.database.transaction(async (trx) => {
      if ((await store.findDeadLetter(trx, id)) !== undefined) return false;
      await this.#options.projection.onDeadLetter(trx, undefined, owned.shard);
      const deadLetter = {
        ...this.#deadLetter(owned, error),
        id,
        position: 0,
        type: "",
        raw,
        attempts: ATTEMPTS_MAX,
      };
      await store.insertDeadLetter(trx, deadLetter);
      if (!(await lockOwned(trx, this.#key, [owned]))) throw new LostOwnership();
      return true;
    });
    if (isNew) this.report(owned.shard, 0, error);
  }

  /** Writes the log line and counts the message, once the transaction has committed. */
  report(shard: number, position: number, error: unknown): void {
    const { consumer, source } = this.#options;
    this.#deadLettered.inc({ consumer, source });
    this.#options.log.error(
      { err: error, consumer, source, shard, position },
      "a message was moved to the dead letters",
    );
  }

  /** Returns the ids of dead letters of owned shards with a requested replay. */
  async findReplayRequests(owned: ReadonlyMap<number, OwnedShard>): Promise<string[]> {
    const requests = await store.findRequestedReplays(this.#options.database.reader, this.#key, 100);
    return requests.filter(({ shard }) => owned.has(shard)).map(({ id }) => id);
  }

  /**
   * Applies a dead letter alone, while the shard is owned. A projection recognizes it by its old position.
   */
  async replay(id: string, shards: ReadonlyMap<number, OwnedShard>): Promise<void> {
    const { database, projection, clock, log } = this.#options;
    const deadLetter = await store.findDeadLetter(database.reader, id);
    const owned = deadLetter === undefined ? undefined : shards.get(deadLetter.shard);
    if (deadLetter?.replayRequestedMs === undefined || owned === undefined) return;
    try {
      const envelope = openEnvelope(deadLetter);
      await database.transaction(async (trx) => {
        await projection.apply(trx, [envelope]);
        await store.endReplay(trx, id, { replayedMs: clock.nowMs() });
        if (!(await lockOwned(trx, this.#key, [owned]))) throw new LostOwnership();
      });
      log.info(
        { id, shard: deadLetter.shard, position: deadLetter.position },
        "a dead letter was applied on replay",
      );
    } catch (error) {
      if (!isPoison(error) && !(error instanceof NotAnEnvelope)) throw error;
      log.warn({ err: error, id, shard: deadLetter.shard }, "a dead letter still cannot be applied");
      await database.transaction((trx) => store.endReplay(trx, id, { error: describeError(error) }));
    }
  }

  #deadLetter(owned: OwnedShard, error: unknown) {
    return {
      ...this.#key,
      shard: owned.shard,
      error: describeError(error),
      deadMs: this.#options.clock.nowMs(),
      replayRequestedMs: undefined,
      replayedMs: undefined,
    };
  }

  #idOf(shard: number, raw: Uint8Array): string {
    const hash = createHash("sha256");
    hash.update(`${this.#key.consumer}\n${this.#key.source}\n${shard}\n`).update(raw);
    return bytesToUuid(hash.digest());
  }
}

class NotAnEnvelope extends Error {
  override name = "NotAnEnvelope";
}

function openEnvelope({ raw, source, shard }: store.DeadLetter): Envelope {
  let envelope: Envelope;
  try {
    envelope = fromBinary(EnvelopeSchema, raw);
  } catch (error) {
    throw new NotAnEnvelope("the bytes are not an envelope", { cause: error });
  }
  if (envelope.source === source && envelope.shard === shard && envelope.position > 0n) return envelope;
  throw new NotAnEnvelope("the envelope is not one of this shard");
}

/** Describes an error for the operator, with its causes, because PoisonMessage names only the message. */
function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error && parts.length < 4; at = at.cause)
    parts.push(`${at.name}: ${at.message}`);
  return parts.length === 0 ? String(error) : parts.join(" <- ");
}
