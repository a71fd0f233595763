// ListSegments: returns the organization's segments with their member counts, oldest first.

import { SegmentSchema } from "@muster/contracts/muster/segments/v1/segment_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { SegmentId } from "@muster/core";
import { idPosition, type MethodHandler, readPage } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { listSegmentsPage } from "../segment-model/segment-store.ts";
import { describeSegments } from "./segment-proto.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function listSegments(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.listSegments> {
  return async (request, context) => {
    const { organizationId } = context;
    const scope = `segments/${organizationId}`;
    const page = readPage(deps.pageTokens, scope, request, idPosition<SegmentId>);
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    const requested = await listSegmentsPage(deps.database.reader, organizationId, page.after, page.size);
    await waitForSegments(deps, context, organizationId, requested);
    // Read again in one snapshot, because rules may have switched meanwhile, or may switch between two
    // statements.
    return deps.database.snapshot(async (trx) => {
      const { items, nextPageToken } = await page.fill({
        item: SegmentSchema,
        read: (after, limit) => listSegmentsPage(trx, organizationId, after, limit),
        positionOf: ({ id }) => [id],
        toItems: (rows) => describeSegments(trx, organizationId, rows),
      });
      return { segments: items, nextPageToken };
    });
  };
}
