// The compiled segments of organisations, never older than the transaction that asks.
import { assert, type OrganizationId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { Definitions, type SegmentDefinition } from "../engine/definitions.ts";
import { definitionsOf } from "./evaluations.ts";
import { readVersions, touchOrganization } from "./organization-store.ts";
import { listSegmentsOf } from "./segment-store.ts";

/** Segments kept compiled, over all organisations. */
const CACHED_SEGMENTS_MAX = 50_000;

export class DefinitionsCache {
  /** Least recently used first. */
  readonly #byOrganization = new Map<OrganizationId, Definitions>();
  #segments = 0;

  /**
   * As of this transaction; an organisation never touched before gets its default segment.
   * Invariant: a segment's backfill begins only in an owner that has loaded it, and every fold loads
   * what is newest. So an event folded without the segment was committed before the backfill's
   * snapshot and is in it, whoever folded it.
   */
  async load(
    trx: Transaction,
    organizationIds: readonly OrganizationId[],
    nowMs: number,
  ): Promise<Map<OrganizationId, Definitions>> {
    const versions = await readVersions(trx, organizationIds);
    // Sorted, so that two folds that meet the same new organisations wait for each other in one order.
    for (const id of organizationIds.filter((one) => !versions.has(one)).sort()) {
      versions.set(id, await touchOrganization(trx, id, nowMs));
    }
    return this.#compile(trx, versions);
  }

  /** Of one organisation that was touched before, as of now. */
  async loadKnown(db: Queryable, organizationId: OrganizationId): Promise<Definitions> {
    const loaded = await this.#compile(db, await readVersions(db, [organizationId]));
    const definitions = loaded.get(organizationId);
    assert(definitions !== undefined, "the organisation was touched before");
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
        loaded.set(id, new Definitions(versions.get(id) ?? 0, segments));
      }
    }
    for (const [id, definitions] of loaded) this.#keep(id, definitions);
    return loaded;
  }

  #keep(id: OrganizationId, definitions: Definitions): void {
    this.#drop(id);
    this.#byOrganization.set(id, definitions);
    this.#segments += definitions.segments.size;
    for (const oldest of this.#byOrganization.keys()) {
      if (this.#segments <= CACHED_SEGMENTS_MAX || oldest === id) break;
      this.#drop(oldest);
    }
  }

  #drop(id: OrganizationId): void {
    this.#segments -= this.#byOrganization.get(id)?.segments.size ?? 0;
    this.#byOrganization.delete(id);
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
