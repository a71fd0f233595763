// Finds erased events among incoming events. Organizations without erasures cost no statement.
import type { OrganizationId, TrackedEventId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { ERASURES_VERSION, type IdentityVersions } from "../identity-graph/identity-versions-store.ts";
import type { BatchKeys, ErasedEventFinder, ErasedIds } from "../ingest/batch-context.ts";
import { findErased, listOrganizationsWithErasures } from "./erased-events-store.ts";
import type { EventHasher } from "./event-hash.ts";

/** The client ids among the events of one organization. */
type ClientIds = Pick<BatchKeys, "datedIdsByDay" | "undatedIds">;

/** Cached organizations. A dropped entry is read again. */
const CACHED_MAX = 10_000;

/** The lookup of ingest. The cache of organizations belongs to one process. */
export class ErasedLookup implements ErasedEventFinder {
  readonly #hasher: EventHasher;
  /**
   * True after the first erasure of an organization, otherwise the erasures version at which none existed.
   */
  readonly #cache = new Map<OrganizationId, true | number>();

  constructor(hasher: EventHasher) {
    this.#hasher = hasher;
  }

  async find(
    trx: Transaction,
    clientIds: ReadonlyMap<OrganizationId, ClientIds>,
    versions: IdentityVersions,
  ): Promise<Map<OrganizationId, ErasedIds>> {
    const requested = [...clientIds].filter(
      ([, own]) => own.datedIdsByDay.size > 0 || own.undatedIds.size > 0,
    );
    const found = new Map<OrganizationId, ErasedIds>();
    if (requested.length === 0) return found;
    const organizationIds = requested.map(([organizationId]) => organizationId);
    const withErasures = await this.#withErasures(trx, organizationIds, versions[ERASURES_VERSION] ?? 0);
    for (const [organizationId, own] of requested) {
      if (withErasures.has(organizationId))
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
  async #withErasures(
    trx: Transaction,
    organizationIds: readonly OrganizationId[],
    version: number,
  ): Promise<ReadonlySet<OrganizationId>> {
    const uncached = organizationIds.filter((id) => {
      const cached = this.#cache.get(id);
      return cached !== true && cached !== version;
    });
    if (uncached.length > 0) {
      if (this.#cache.size > CACHED_MAX) this.#cache.clear();
      const withErasures = new Set(await listOrganizationsWithErasures(trx, uncached));
      for (const id of uncached) this.#cache.set(id, withErasures.has(id) || version);
    }
    return new Set(organizationIds.filter((id) => this.#cache.get(id) === true));
  }
}
