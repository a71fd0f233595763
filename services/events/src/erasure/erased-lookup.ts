// Which of the events that come in were erased before. Costs organisations that never erased anybody nothing.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Epochs } from "../people/epochs-store.ts";
import { ERASURES_EPOCH, findErased, listErasing } from "./erased-events-store.ts";
import type { EventHasher } from "./event-hash.ts";

/** What one organisation's events have for ids of the client's. */
export interface ClientIds {
  readonly datedIdsByDay: ReadonlyMap<number, ReadonlySet<TrackedEventId>>;
  readonly undatedIds: ReadonlySet<string>;
}

/** Those of them that are erased. */
export interface ErasedIds {
  readonly ids: ReadonlySet<TrackedEventId>;
  readonly undatedIds: ReadonlySet<string>;
}

/** Organisations remembered at once; what is forgotten is asked for again. */
const KNOWN_MAX = 10_000;

export class ErasedLookup {
  readonly #hasher: EventHasher;
  /** Whether an organisation has ever erased anybody, or the epoch at which it had not. */
  readonly #known = new Map<OrganizationId, true | number>();

  constructor(hasher: EventHasher) {
    this.#hasher = hasher;
  }

  /** Organisations without any are left out. `epochs` were read by this transaction, before. */
  async find(
    trx: Transaction,
    wanted: ReadonlyMap<OrganizationId, ClientIds>,
    epochs: Epochs,
  ): Promise<Map<OrganizationId, ErasedIds>> {
    const asking = [...wanted].filter(([, own]) => own.datedIdsByDay.size > 0 || own.undatedIds.size > 0);
    const found = new Map<OrganizationId, ErasedIds>();
    if (asking.length === 0) return found;
    const organizationIds = asking.map(([organizationId]) => organizationId);
    const erasing = await this.#erasing(trx, organizationIds, epochs[ERASURES_EPOCH] ?? 0);
    for (const [organizationId, own] of asking) {
      if (erasing.has(organizationId))
        found.set(organizationId, await this.#findOwn(trx, organizationId, own));
    }
    return found;
  }

  async #findOwn(trx: Transaction, organizationId: OrganizationId, own: ClientIds): Promise<ErasedIds> {
    const dated = new Map<string, TrackedEventId>();
    const undated = new Map<string, string>();
    const hashes: Buffer[] = [];
    for (const id of [...own.datedIdsByDay.values()].flatMap((ids) => [...ids])) {
      const hash = this.#hasher.dated(organizationId, id);
      dated.set(hash.toString("base64"), id);
      hashes.push(hash);
    }
    for (const id of own.undatedIds) {
      const hash = this.#hasher.undated(organizationId, id);
      undated.set(hash.toString("base64"), id);
      hashes.push(hash);
    }
    const erased = [...(await findErased(trx, organizationId, hashes))];
    return {
      ids: new Set(erased.flatMap((hash) => dated.get(hash) ?? [])),
      undatedIds: new Set(erased.flatMap((hash) => undated.get(hash) ?? [])),
    };
  }

  /** Once an organisation has erased somebody it has for ever; that it has not is true up to its epoch. */
  async #erasing(
    trx: Transaction,
    organizationIds: readonly OrganizationId[],
    epoch: number,
  ): Promise<ReadonlySet<OrganizationId>> {
    const unsure = organizationIds.filter((id) => {
      const known = this.#known.get(id);
      return known !== true && known !== epoch;
    });
    if (unsure.length > 0) {
      if (this.#known.size > KNOWN_MAX) this.#known.clear();
      const erasing = new Set(await listErasing(trx, unsure));
      for (const id of unsure) this.#known.set(id, erasing.has(id) || epoch);
    }
    return new Set(organizationIds.filter((id) => this.#known.get(id) === true));
  }
}
