// Caches the compiled segments of organizations, never older than the transaction that loads them.
import { assert, type OrganizationId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { LRUCache } from "lru-cache";
import { Definitions, type SegmentDefinition } from "../engine/state/definitions.ts";
import { readVersions } from "../organizations/organization-store.ts";
import { provisionOrganization } from "../organizations/provision-organization.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";
import { definitionsOf } from "./evaluations.ts";

/** The number of cached segments, over all organizations. */
const CACHED_SEGMENTS_MAX = 50_000;

export class DefinitionsCache {
  readonly #byOrganization = new LRUCache<OrganizationId, Definitions>({
    maxSize: CACHED_SEGMENTS_MAX,
    // An organization without segments takes some room too.
    sizeCalculation: ({ segments }) => Math.max(1, segments.size),
  });

  /**
   * Loads the definitions as of this transaction. A new organization gets its default segment.
   * Invariant: a segment's backfill starts only in an owner that has loaded the segment, and each batch loads
   * the newest definitions. An event that was applied without the segment was committed before the snapshot
   * of the backfill. Therefore the snapshot contains the event.
   */
  async load(
    trx: Transaction,
    organizationIds: readonly OrganizationId[],
    nowMs: number,
  ): Promise<Map<OrganizationId, Definitions>> {
    const versions = await readVersions(trx, organizationIds);
    // Sorted, so that two transactions with the same new organizations take their locks in one order.
    for (const id of organizationIds.filter((one) => !versions.has(one)).sort()) {
      versions.set(id, await provisionOrganization(trx, id, nowMs));
    }
    return this.#compile(trx, versions);
  }

  /** Loads the newest definitions of those organizations that are provisioned already. */
  async loadKnown(
    db: Queryable,
    organizationIds: readonly OrganizationId[],
  ): Promise<Map<OrganizationId, Definitions>> {
    return this.#compile(db, await readVersions(db, organizationIds));
  }

  /** Loads the newest definitions of one organization that exists already. */
  async loadProvisioned(db: Queryable, organizationId: OrganizationId): Promise<Definitions> {
    const loaded = await this.loadKnown(db, [organizationId]);
    const definitions = loaded.get(organizationId);
    assert(definitions !== undefined, "the organization is provisioned");
    return definitions;
  }

  async #compile(
    db: Queryable,
    versions: ReadonlyMap<OrganizationId, number>,
  ): Promise<Map<OrganizationId, Definitions>> {
    const loaded = new Map<OrganizationId, Definitions>();
    const stale: OrganizationId[] = [];
    for (const [id, version] of versions) {
      const cached = this.#byOrganization.get(id);
      if (cached?.version === version) loaded.set(id, cached);
      else stale.push(id);
    }
    if (stale.length > 0) {
      for (const [id, segments] of await readSegments(db, stale)) {
        const definitions = new Definitions(versions.get(id) ?? 0, segments);
        loaded.set(id, definitions);
        this.#byOrganization.set(id, definitions);
      }
    }
    return loaded;
  }
}

async function readSegments(
  db: Queryable,
  organizationIds: readonly OrganizationId[],
): Promise<Map<OrganizationId, SegmentDefinition[]>> {
  const found = new Map<OrganizationId, SegmentDefinition[]>(organizationIds.map((id) => [id, []]));
  const byOrganization = Map.groupBy(await listSegmentsOf(db, organizationIds), (one) => one.organizationId);
  for (const [id, segments] of byOrganization) found.set(id, definitionsOf(segments));
  return found;
}
