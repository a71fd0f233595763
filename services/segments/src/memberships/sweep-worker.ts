// Deletes the rows of exited memberships, which pages of members would otherwise have to skip.

import { type EvaluationId, type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import type { Database } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { NO_PROFILE } from "../profiles/profile-key.ts";
import { WorkSchedule } from "../work-schedule.ts";
import { deleteExited, listMembershipRows } from "./membership-store.ts";
import { findSweepable, readExits, subtractExits } from "./segment-count-store.ts";

/** A walk over one segment's membership rows. */
interface Sweep {
  readonly organizationId: OrganizationId;
  readonly evaluationId: EvaluationId;
  /** For each swept shard, the number of exits when the sweep began. */
  readonly exits: ReadonlyMap<number, number>;
  readonly after: ProfileId;
}

/** Rows of one step. The number is small, because messages wait for the step. */
const ROWS = 1000;

/**
 * The rows of all shards are mixed, in order of profile. Each owner deletes only rows of its own shards, so
 * two processes never write the same row. An interrupted sweep starts over: only its end subtracts the exits
 * from the counter.
 */
export class SweepWorker {
  readonly #database: Database;
  readonly #schedule = new WorkSchedule();
  #sweep: Sweep | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Called when a segment has many exits. */
  wake(): void {
    this.#schedule.wake();
  }

  /** Processes one chunk. Returns when the next is wanted, in epoch milliseconds. */
  async step(owned: OwnedShards): Promise<number> {
    if (this.#sweep === undefined && this.#schedule.nextMs > 0) return this.#schedule.nextMs;
    this.#schedule.begin();
    const sweep = this.#current(owned) ?? (await this.#begin(owned));
    if (sweep === undefined) this.#schedule.sleep();
    else this.#sweep = await this.#walk(owned, sweep);
    return this.#schedule.nextMs;
  }

  /** Undefined if a shard of the sweep has a new owner. */
  #current(owned: OwnedShards): Sweep | undefined {
    const { exits } = this.#sweep ?? {};
    const isOwned = exits !== undefined && [...exits.keys()].every((shard) => owned.shards.includes(shard));
    return isOwned ? this.#sweep : undefined;
  }

  async #begin(owned: OwnedShards): Promise<Sweep | undefined> {
    const { reader } = this.#database;
    const found = await findSweepable(reader, owned.shards);
    if (found === undefined) return undefined;
    return { ...found, exits: await readExits(reader, found, owned.shards), after: NO_PROFILE };
  }

  /** Returns the sweep at its new cursor; undefined at the end. */
  async #walk(owned: OwnedShards, sweep: Sweep): Promise<Sweep | undefined> {
    const { organizationId, exits, after } = sweep;
    const rows = await listMembershipRows(this.#database.reader, sweep, after, ROWS);
    const exited = rows
      .filter(({ member, profileId }) => !member && exits.has(shardOf(organizationId, profileId)))
      .map(({ profileId }) => profileId);
    const last = rows.length === ROWS ? rows.at(-1)?.profileId : undefined;
    if (exited.length > 0 || last === undefined) {
      await owned.transaction([...exits.keys()], async (trx) => {
        await deleteExited(trx, sweep, exited);
        if (last === undefined) await subtractExits(trx, sweep, exits);
      });
    }
    return last === undefined ? undefined : { ...sweep, after: last };
  }
}
