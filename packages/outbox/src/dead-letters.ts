// Puts messages that can never be folded aside, so that their shard goes on, and folds them again when
// somebody asks.
import { createHash } from "node:crypto";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { bytesToUuid } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { ShardConsumerOptions } from "./consumer-options.ts";
import { ATTEMPTS_MAX } from "./consumer-options.ts";
import { type ConsumerKey, lockOwned } from "./cursor-store.ts";
import * as store from "./dead-letter-store.ts";
import type { OwnedShard } from "./owned-shard.ts";
import { isPoison, LostOwnership } from "./ownership.ts";

export class DeadLetters {
  readonly #options: ShardConsumerOptions;
  readonly #key: ConsumerKey;
  readonly #buried;

  constructor(options: ShardConsumerOptions) {
    this.#options = options;
    this.#key = { consumer: options.consumer, source: options.source };
    this.#buried = options.metrics.counter(
      "muster_dead_letters_total",
      "Messages put aside because they can never be folded.",
      ["consumer", "source"],
    );
  }

  /** In the transaction that moves the cursor past the message. */
  async bury(trx: Transaction, owned: OwnedShard, envelope: Envelope, error: unknown): Promise<void> {
    await this.#options.folder.dead(trx, envelope, owned.shard);
    await store.insertDeadLetter(trx, {
      ...this.#letter(owned, error),
      id: this.#options.ids.next(this.#options.clock.nowMs()),
      position: Number(envelope.position),
      type: envelope.type,
      raw: toBinary(EnvelopeSchema, envelope),
      attempts: owned.suspect?.attempts ?? ATTEMPTS_MAX,
    });
  }

  /**
   * Bytes that are no envelope. The cursor stays: the producer is asked for the message that was meant.
   * A repeat of the same bytes is one letter.
   */
  async buryUndecodable(owned: OwnedShard, raw: Uint8Array): Promise<void> {
    const id = this.#idOf(owned.shard, raw);
    const error = new Error("the bytes are not an envelope of this shard");
    const isNew = await this.#options.database.transaction(async (trx) => {
      if ((await store.findDeadLetter(trx, id)) !== undefined) return false;
      await this.#options.folder.dead(trx, undefined, owned.shard);
      const letter = {
        ...this.#letter(owned, error),
        id,
        position: 0,
        type: "",
        raw,
        attempts: ATTEMPTS_MAX,
      };
      await store.insertDeadLetter(trx, letter);
      if (!(await lockOwned(trx, this.#key, [owned]))) throw new LostOwnership();
      return true;
    });
    if (isNew) this.announce(owned.shard, 0, error);
  }

  /** Log and metric, once the burial has committed. */
  announce(shard: number, position: number, error: unknown): void {
    const { consumer, source } = this.#options;
    this.#buried.inc({ consumer, source });
    this.#options.log.error(
      { err: error, consumer, source, shard, position },
      "a message is a dead letter now",
    );
  }

  /** Ids of letters of owned shards that somebody wants folded again. */
  async requested(owned: ReadonlyMap<number, OwnedShard>): Promise<string[]> {
    const requests = await store.findRequestedReplays(this.#options.database.reader, this.#key, 100);
    return requests.filter(({ shard }) => owned.has(shard)).map(({ id }) => id);
  }

  /** Folds the letter's message, alone, while the shard is ours. A folder knows it by its old position. */
  async replay(id: string, shards: ReadonlyMap<number, OwnedShard>): Promise<void> {
    const { database, folder, clock, log } = this.#options;
    const letter = await store.findDeadLetter(database.reader, id);
    const owned = letter === undefined ? undefined : shards.get(letter.shard);
    if (letter?.replayRequestedMs === undefined || owned === undefined) return;
    try {
      const envelope = openEnvelope(letter);
      await database.transaction(async (trx) => {
        await folder.fold(trx, [envelope]);
        await store.endReplay(trx, id, { replayedMs: clock.nowMs() });
        if (!(await lockOwned(trx, this.#key, [owned]))) throw new LostOwnership();
      });
      log.info({ id, shard: letter.shard, position: letter.position }, "a dead letter was folded after all");
    } catch (error) {
      if (!isPoison(error) && !(error instanceof NotAnEnvelope)) throw error;
      log.warn({ err: error, id, shard: letter.shard }, "a dead letter still can't be folded");
      await database.transaction((trx) => store.endReplay(trx, id, { error: describe(error) }));
    }
  }

  #letter(owned: OwnedShard, error: unknown) {
    return {
      ...this.#key,
      shard: owned.shard,
      error: describe(error),
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

/** For the operator; the whole chain of causes, for PoisonMessage says only which message. */
function describe(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error && parts.length < 4; at = at.cause)
    parts.push(`${at.name}: ${at.message}`);
  return parts.length === 0 ? String(error) : parts.join(" <- ");
}
