// Provisions an organization with its default segments, on the first read or event.
import type { OrganizationId } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { addBackfills, lockIncompleteShards, readIncompleteShards } from "../rebuild/backfill-store.ts";
import { defaultSegment } from "../segment-model/default-segments.ts";
import type { Segment } from "../segment-model/segment.ts";
import { insertSegmentOnce } from "../segment-model/segment-store.ts";
import {
  insertOrganizationOnce,
  lockOrganization,
  markProvisioned,
  readVersions,
} from "./organization-store.ts";

/**
 * Provisions the organization unless a concurrent transaction has done so, and returns the definitions version.
 * Invariant: no event of an organization is applied before the row exists. Therefore the default segments
 * need no backfill, except in shards that lost an unreadable message.
 */
export async function provisionOrganization(
  trx: Transaction,
  organizationId: OrganizationId,
  nowMs: number,
  segments: readonly Segment[] = [defaultSegment(organizationId, nowMs)],
): Promise<number> {
  await lockIncompleteShards(trx);
  await insertOrganizationOnce(trx, organizationId);
  const organization = await lockOrganization(trx, organizationId);
  if (organization.isProvisioned) return organization.definitionsVersion;
  const incomplete = await readIncompleteShards(trx);
  for (const segment of segments) {
    await insertSegmentOnce(trx, segment);
    await addBackfills(trx, organizationId, segment.evaluationId, incomplete);
  }
  return markProvisioned(trx, organizationId, organization, segments.length);
}

/** Provisions the organization before a read, unless the row exists. */
export async function ensureOrganization(
  database: Database,
  organizationId: OrganizationId,
  nowMs: number,
): Promise<void> {
  const versions = await readVersions(database.reader, [organizationId]);
  if (versions.has(organizationId)) return;
  await database.transaction((trx) => provisionOrganization(trx, organizationId, nowMs));
}
