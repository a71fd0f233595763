// ListSegments: returns the organization's segments with their member counts, oldest first.

import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { SegmentId } from "@muster/core";
import { cutPage, idPosition, type MethodHandler, readPage } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { ensureOrganization } from "../organizations/provision-organization.ts";
import { listSegmentsPage } from "../segment-model/segment-store.ts";
import { describeSegments } from "./segment-proto.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function listSegments(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.listSegments> {
  return async (request, context) => {
    const { organizationId } = context;
    const scope = `segments/${organizationId}`;
    const { size, after } = readPage(deps.pageTokens, scope, request, idPosition<SegmentId>);
    await ensureOrganization(deps.database, organizationId, deps.clock.nowMs());
    const requested = await listSegmentsPage(deps.database.reader, organizationId, after, size);
    await waitForSegments(deps, context, organizationId, requested);
    // Read again in one snapshot, because rules may have switched meanwhile, or may switch between two
    // statements.
    return deps.database.snapshot(async (trx) => {
      const found = await listSegmentsPage(trx, organizationId, after, size + 1);
      const { rows, nextPageToken } = cutPage(deps.pageTokens, scope, found, size, ({ id }) => [id]);
      return { segments: await describeSegments(trx, organizationId, rows), nextPageToken };
    });
  };
}
