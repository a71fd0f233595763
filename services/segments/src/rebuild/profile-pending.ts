// Checks whether a profile waits for a rebuild or a backfill.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Queryable } from "@muster/db";
import { isProfileMarked } from "../profiles/rebuild-store.ts";
import { listPendingEvaluationIds } from "../segment-model/segment-store.ts";
import { listEvaluationsBehind } from "./backfill-store.ts";

/** Backfills of pending rules do not count, because those rules do not serve yet. */
export async function isProfilePending(
  db: Queryable,
  organizationId: OrganizationId,
  shard: number,
  profileId: ProfileId,
): Promise<boolean> {
  const key = { organizationId, shard, profileId };
  const behind = await listEvaluationsBehind(db, key);
  if (behind.length > 0) {
    const pending = await listPendingEvaluationIds(db, organizationId);
    if (behind.some((evaluationId) => !pending.has(evaluationId))) return true;
  }
  return isProfileMarked(db, key);
}
