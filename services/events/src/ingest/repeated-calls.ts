// Makes calls with an Idempotency-Key repeatable although their events commit in several transactions. Events
// without an id of the client get ids from a seed that the first transaction saves. A repetition of the call after
// a crash gives the events the same ids, and stores none twice.
import { createHash, createHmac } from "node:crypto";
import { type DescMessage, type Message, toBinary } from "@bufbuild/protobuf";
import { type Clock, type IdSource, uuidToBytes, uuidV7 } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { KEY_LIFETIME_MS } from "@muster/idempotency";
import type { CallContext } from "@muster/rpc";
import { type CallSeed, deleteCallSeeds, findCallSeed, saveCallSeed } from "./repeated-call-store.ts";

/** A seed ends before the Idempotency-Key, because a later call with the key is another call. */
const SEED_LIFETIME_MS = KEY_LIFETIME_MS - 60_000;
const RETRY_AFTER_MS = 1000;

/** How the events of one call are read and stored. */
export interface RepeatableCall {
  /** The time of receipt of the first attempt. */
  readonly nowMs: number;
  readonly ids: IdSource;
  /** Whether a repetition of the call yields the same ids. */
  readonly repeatsIds: boolean;
  /** Runs in each transaction that stores events of the call. */
  readonly saveSeed: ((trx: Transaction) => Promise<void>) | undefined;
}

interface RepeatedCallsOptions {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  /** The installation's key for digests of calls. */
  readonly key: Uint8Array;
}

/** The calls of one process. */
export class RepeatedCalls {
  readonly #options: RepeatedCallsOptions;

  constructor(options: RepeatedCallsOptions) {
    this.#options = options;
  }

  /** Returns the seed of the first attempt, if the call is a repetition. */
  async begin(context: CallContext, schema: DescMessage, request: Message): Promise<RepeatableCall> {
    const { clock, ids, database } = this.#options;
    const nowMs = clock.nowMs();
    const idempotencyKey = context.requestHeaders.get("idempotency-key");
    if (idempotencyKey === undefined) return { nowMs, ids, repeatsIds: false, saveSeed: undefined };
    const { organizationId } = context;
    const key = { organizationId, digest: this.#digest(context, idempotencyKey, toBinary(schema, request)) };
    const sinceMs = nowMs - SEED_LIFETIME_MS;
    const found = await findCallSeed(database.reader, key, sinceMs);
    const call = found ?? { seed: uuidToBytes(ids.next(nowMs)), receivedMs: nowMs };
    const saveSeed = async (trx: Transaction): Promise<void> => {
      if (found === undefined) await deleteCallSeeds(trx, sinceMs);
      const stored = await saveCallSeed(trx, key, call, sinceMs);
      // Another attempt has taken the key over, with other ids.
      if (stored === undefined || !isSame(stored, call)) throw inProgress();
    };
    return { nowMs: call.receivedMs, ids: new SeededIds(call.seed), repeatsIds: true, saveSeed };
  }

  #digest({ principal, method }: CallContext, idempotencyKey: string, request: Uint8Array): Buffer {
    const caller = JSON.stringify([principal.kind, principal.id, method.name, idempotencyKey]);
    return createHmac("sha256", this.#options.key).update(caller).update(request).digest();
  }
}

/** Repeats its ids for the same seed and the same instants. */
class SeededIds implements IdSource {
  readonly #seed: Buffer;
  #count = 0;

  constructor(seed: Buffer) {
    this.#seed = seed;
  }

  next<Id extends string>(nowMs: number): Id {
    this.#count += 1;
    const tail = createHash("sha256").update(this.#seed).update(`${this.#count}`).digest();
    return uuidV7(nowMs, tail) as Id;
  }
}

function isSame(one: CallSeed, other: CallSeed): boolean {
  return one.receivedMs === other.receivedMs && one.seed.equals(other.seed);
}

function inProgress(): AppError {
  return new AppError("IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: RETRY_AFTER_MS });
}
