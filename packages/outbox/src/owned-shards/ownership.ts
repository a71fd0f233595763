// Defines the errors of a replica that loses a shard, and the view of owned shards that the projection works
// with.
import { AssertionError, assert, PlainError } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type OwnedShards, PoisonMessage } from "../ports/ports.ts";
import { type ConsumerKey, lockOwned } from "./cursor-store.ts";
import type { OwnedShard } from "./owned-shard.ts";

/** Another replica has taken a shard, so the transaction rolls back. */
export class LostOwnership extends PlainError {
  override name = "LostOwnership";

  constructor() {
    super("another replica owns the shard now");
  }
}

/** Whether the message itself causes the error, so that a retry cannot succeed. */
export function isPoison(error: unknown): boolean {
  return error instanceof PoisonMessage || error instanceof AssertionError;
}

/** Whether a dependency of all messages is unavailable, so that no single message causes the error. */
export function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.reason === "UNAVAILABLE";
}

/** The view of the owned shards that the projection's `work` receives. */
export class OwnedView implements OwnedShards {
  readonly shards: readonly number[];
  readonly #database: Database;
  readonly #key: ConsumerKey;
  readonly #owned: ReadonlyMap<number, OwnedShard>;

  constructor(database: Database, key: ConsumerKey, owned: ReadonlyMap<number, OwnedShard>) {
    this.#database = database;
    this.#key = key;
    this.#owned = new Map(owned);
    this.shards = [...owned.keys()].sort((a, b) => a - b);
  }

  position(shard: number): number {
    return this.#find(shard).inbox.applied;
  }

  async transaction<T>(shards: readonly number[], body: (trx: Transaction) => Promise<T>): Promise<T> {
    assert(shards.length > 0, "a fenced transaction names its shards");
    const fences = shards.map((shard) => this.#find(shard));
    const fenced = async (trx: Transaction): Promise<T> => {
      const result = await body(trx);
      // The last statement, like the cursors of an applied batch: a replica that takes a shard waits only for
      // the commit.
      if (!(await lockOwned(trx, this.#key, fences))) throw new LostOwnership();
      return result;
    };
    // The caller runs between batches of messages, which must not wait for a lock of other rows.
    return this.#database.transaction(fenced, { lockWait: "once" });
  }

  #find(shard: number): OwnedShard {
    const owned = this.#owned.get(shard);
    assert(owned !== undefined, `shard ${shard} is not owned`);
    return owned;
  }
}
