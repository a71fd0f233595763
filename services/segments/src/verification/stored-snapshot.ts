// Reads the stored data of profiles in a single snapshot: applied position, rules, states and memberships.

import type { EvaluationId, OrganizationId, ProfileId, SegmentId } from "@muster/core";
import type { Database } from "@muster/db";
import { readCursors } from "@muster/outbox";
import type { EvaluatedRule } from "../engine/rule/rule.ts";
import { readEvaluationsByProfile } from "../memberships/membership-store.ts";
import { profileKeyText } from "../profiles/profile-key.ts";
import { readRebuildReasons } from "../profiles/rebuild-store.ts";
import { loadStates, type StoredProfile } from "../profiles/state-store.ts";
import { type Backfill, listBackfillsOfShards } from "../rebuild/backfill-store.ts";
import { definitionsOf } from "../rule-versions/evaluations.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";

/** A snapshot of the segments database, for profiles of the same shard. */
export interface StoredSnapshot {
  /** The shard's applied position. */
  readonly appliedPosition: number;
  /** All evaluated rules, including pending ones, by evaluation id. */
  readonly rules: ReadonlyMap<EvaluationId, EvaluatedRule>;
  /** The segment of each evaluation. */
  readonly names: ReadonlyMap<EvaluationId, { readonly segmentId: SegmentId; readonly slug: string }>;
  /** The unfinished backfills of the shard. */
  readonly backfills: readonly Backfill[];
  /** Profiles that wait for a rebuild. */
  readonly awaitingRebuild: ReadonlyMap<ProfileId, unknown>;
  readonly states: ReadonlyMap<ProfileId, StoredProfile>;
  /** For each profile, the evaluations with a membership row. */
  readonly memberships: ReadonlyMap<ProfileId, ReadonlySet<EvaluationId>>;
}

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
      awaitingRebuild: await readRebuildReasons(trx, organizationId, shard, profileIds),
      states,
      memberships: await readEvaluationsByProfile(trx, organizationId, [...rules.keys()], profileIds),
    };
  });
}
