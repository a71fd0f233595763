// Holds a read of segments until they hold every event and their past is counted, in every shard.
import type { OrganizationId, SegmentId } from "@muster/core";
import type { CallContext } from "@muster/rpc";
import { ALL_SHARDS, hasProfileDerivations, listBackfillsOf } from "../backfills/backfill-store.ts";
import type { SegmentsDeps } from "../deps.ts";

export async function waitForSegments(
  { consistency, database }: SegmentsDeps,
  context: CallContext,
  organizationId: OrganizationId,
  segmentIds: readonly SegmentId[],
): Promise<void> {
  await consistency.wait(context, {
    organizationId,
    shards: ALL_SHARDS,
    async isDerivationPending() {
      const db = database.reader;
      if ((await listBackfillsOf(db, organizationId, segmentIds)).length > 0) return true;
      return hasProfileDerivations(db, organizationId);
    },
  });
}
