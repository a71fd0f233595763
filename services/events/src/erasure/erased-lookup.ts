// Finds erased events among incoming events. Organizations without erasures cost no statement.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Epochs } from "../people/epochs-store.ts";
import { ERASURES_EPOCH, findErased, listErasing } from "./erased-events-store.ts";
import type { EventHasher } from "./event-hash.ts";

/** The client ids among the events of one organization. */
export interface ClientIds {
  readonly datedIdsByDay: ReadonlyMap<number, ReadonlySet<TrackedEventId>>;
  readonly undatedIds: ReadonlySet<string>;
}

/** The erased ids among the client ids. */
export interface ErasedIds {
  readonly ids: ReadonlySet<TrackedEventId>;
  readonly undatedIds: ReadonlySet<string>;
}

/** Cached organizations. A dropped entry is read again. */
const KNOWN_MAX = 10_000;

export class ErasedLookup {
  readonly #hasher: EventHasher;
  /**
   * True after the first erasure of an organization, otherwise the erasures version at which none existed.
   */
  readonly #known = new Map<OrganizationId, true | number>();

  constructor(hasher: EventHasher) {
    this.#hasher = hasher;
  }

  /**
   * Returns the erased ids by organization; organizations without erased ids are omitted. The same
   * transaction read `epochs` before.
   */
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

  /** An organization with erasures stays marked. The absence of erasures is valid for one version. */
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
