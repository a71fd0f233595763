// Removes the rows of profiles that left: they stand between those of the members, and pages would walk past them.
import { type OrganizationId, type ProfileId, type SegmentId, shardOf } from "@muster/core";
import type { Database } from "@muster/db";
import type { OwnedShards } from "@muster/outbox";
import { NO_PROFILE } from "../backfills/backfill-store.ts";
import {
  deleteLeft,
  findSweepable,
  forgetExits,
  listRows,
  readExits,
} from "../memberships/left-rows-store.ts";
import { Lookout } from "./lookout.ts";

interface Sweep {
  readonly organizationId: OrganizationId;
  readonly segmentId: SegmentId;
  /** Of each shard that is swept, the exits that there were when the sweep began. */
  readonly exits: ReadonlyMap<number, number>;
  readonly after: ProfileId;
}

/** Rows of one step: few, for folding waits for it. */
const ROWS = 1000;

/**
 * Rows of all shards lie mixed, by profile; each owner removes those of its own, so nobody else writes them at
 * the same time. A sweep that ends early begins again: only its end takes the exits off the count.
 */
export class Sweeps {
  readonly #database: Database;
  readonly #lookout = new Lookout();
  #sweep: Sweep | undefined;

  constructor(database: Database) {
    this.#database = database;
  }

  /** There is a segment that many have left. */
  look(): void {
    this.#lookout.ask();
  }

  /** One chunk. Resolves to when the next is wanted. */
  async step(owned: OwnedShards): Promise<number> {
    if (this.#sweep === undefined && this.#lookout.nextMs > 0) return this.#lookout.nextMs;
    this.#lookout.begin();
    const sweep = this.#current(owned) ?? (await this.#begin(owned));
    if (sweep === undefined) this.#lookout.rest();
    else this.#sweep = await this.#walk(owned, sweep);
    return this.#lookout.nextMs;
  }

  /** Undefined when one of its shards has another owner now. */
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

  /** Resolves to where the sweep goes on. */
  async #walk(owned: OwnedShards, sweep: Sweep): Promise<Sweep | undefined> {
    const { organizationId, exits, after } = sweep;
    const rows = await listRows(this.#database.reader, sweep, after, ROWS);
    const left = rows
      .filter(({ member, profileId }) => !member && exits.has(shardOf(organizationId, profileId)))
      .map(({ profileId }) => profileId);
    const last = rows.length === ROWS ? rows.at(-1)?.profileId : undefined;
    if (left.length > 0 || last === undefined) {
      await owned.transaction([...exits.keys()], async (trx) => {
        await deleteLeft(trx, sweep, left);
        if (last === undefined) await forgetExits(trx, sweep, exits);
      });
    }
    return last === undefined ? undefined : { ...sweep, after: last };
  }
}
