// Reads the stored data of profiles in a single snapshot: applied position, rules, states and memberships.

import { bytesToUuid, type OrganizationId, type ProfileId, type SegmentId, uuidToBytes } from "@muster/core";
import type { Database, Queryable } from "@muster/db";
import { readCursors } from "@muster/outbox/cursor-store";
import type { Rule } from "../engine/rule/rule.ts";
import { profileKeyText } from "../profiles/profile-key.ts";
import { loadStates, type StoredProfile } from "../profiles/state-store.ts";
import { type Backfill, listBackfillsOfShards } from "../rebuild/backfill-store.ts";
import { definitionsOf } from "../rule-versions/evaluations.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";

/** A snapshot of the segments database, for profiles of the same shard. */
export interface StoredSnapshot {
  /** The shard's applied position. */
  readonly appliedPosition: number;
  /** All evaluated rules, including pending ones, by evaluation id. */
  readonly rules: ReadonlyMap<SegmentId, Rule>;
  /** The segment of each evaluation. */
  readonly names: ReadonlyMap<SegmentId, { readonly segmentId: SegmentId; readonly slug: string }>;
  /** The unfinished backfills of the shard. */
  readonly backfills: readonly Backfill[];
  /** Profiles that wait for a rebuild. */
  readonly awaitingRebuild: ReadonlySet<ProfileId>;
  readonly states: ReadonlyMap<ProfileId, StoredProfile>;
  /** For each profile, the evaluations with a membership row. */
  readonly memberships: ReadonlyMap<ProfileId, ReadonlySet<SegmentId>>;
}

/** Pairs of segment and profile in a statement. With more, the planner walks the table. */
const PAIRS_MAX = 500;

export function readStoredSnapshot(
  database: Database,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<StoredSnapshot> {
  return database.snapshot(async (trx) => {
    const cursors = await readCursors(trx, { consumer: "segments", source: "events" });
    const segments = await listSegmentsOf(trx, [organizationId]);
    const rules = new Map(definitionsOf(segments).map(({ id, rule }) => [id, rule]));
    const names = new Map(
      segments.flatMap(({ id: segmentId, slug, evaluationId, pending }) => {
        const ids = pending === undefined ? [evaluationId] : [evaluationId, pending.evaluationId];
        return ids.map((id) => [id, { segmentId, slug }] as const);
      }),
    );
    const stored = await loadStates(
      trx,
      profileIds.map((profileId) => ({ organizationId, shard, profileId })),
    );
    const states = new Map<ProfileId, StoredProfile>();
    for (const profileId of profileIds) {
      const state = stored.get(profileKeyText(organizationId, profileId));
      if (state !== undefined) states.set(profileId, state);
    }
    return {
      appliedPosition: cursors.find((cursor) => cursor.shard === shard)?.position ?? 0,
      rules,
      names,
      backfills: await listBackfillsOfShards(trx, organizationId, [shard]),
      awaitingRebuild: await readAwaitingRebuild(trx, organizationId, shard, profileIds),
      states,
      memberships: await readMemberships(trx, organizationId, [...rules.keys()], profileIds),
    };
  });
}

async function readAwaitingRebuild(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  profileIds: readonly ProfileId[],
): Promise<Set<ProfileId>> {
  const rows: { profile_id: Buffer }[] = await db("profile_rebuilds")
    .select("profile_id")
    .where({ organization_id: uuidToBytes(organizationId), shard })
    .whereIn("profile_id", profileIds.map(uuidToBytes));
  return new Set(rows.map((row) => bytesToUuid<ProfileId>(row.profile_id)));
}

async function readMemberships(
  db: Queryable,
  organizationId: OrganizationId,
  evaluationIds: readonly SegmentId[],
  profileIds: readonly ProfileId[],
): Promise<Map<ProfileId, Set<SegmentId>>> {
  const found = new Map<ProfileId, Set<SegmentId>>(profileIds.map((id) => [id, new Set()]));
  const atOnce = Math.max(1, Math.floor(PAIRS_MAX / Math.max(1, profileIds.length)));
  for (let start = 0; start < evaluationIds.length; start += atOnce) {
    const segmentIds = evaluationIds.slice(start, start + atOnce).map(uuidToBytes);
    const rows: { profile_id: Buffer; segment_id: Buffer }[] = await db("memberships")
      .select("profile_id", "segment_id")
      .where({ organization_id: uuidToBytes(organizationId), member: 1 })
      .whereIn("segment_id", segmentIds)
      .whereIn("profile_id", profileIds.map(uuidToBytes));
    for (const row of rows) found.get(bytesToUuid(row.profile_id))?.add(bytesToUuid(row.segment_id));
  }
  return found;
}
