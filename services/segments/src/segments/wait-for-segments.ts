// Delays a read of segments until every acknowledged event is applied and the backfills are done, in every
// shard. Pending rules do not delay a read, because the current rule serves until the switch.
import { ALL_SHARDS, type OrganizationId } from "@muster/core";
import type { CallContext } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { hasProfileRebuilds } from "../profiles/rebuild-store.ts";
import { listBackfillsOfEvaluations } from "../rebuild/backfill-store.ts";
import type { Segment } from "../segment-model/segment.ts";

export async function waitForSegments(
  { consistency, database }: SegmentsDeps,
  context: CallContext,
  organizationId: OrganizationId,
  segments: readonly Segment[],
): Promise<void> {
  await consistency.wait(context, {
    organizationId,
    shards: ALL_SHARDS,
    async hasPendingWork() {
      const db = database.reader;
      const serving = segments.map(({ evaluationId }) => evaluationId);
      if ((await listBackfillsOfEvaluations(db, organizationId, serving)).length > 0) return true;
      return hasProfileRebuilds(db, organizationId);
    },
  });
}
