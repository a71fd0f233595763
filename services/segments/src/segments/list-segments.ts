// ListSegments: the organisation's segments, oldest first, each with its count.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";
import { cutPage, readPage } from "../page.ts";
import { ensureTouched } from "./organization-store.ts";
import { describeSegments } from "./segment-proto.ts";
import { listSegmentsPage } from "./segment-store.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function listSegments(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.listSegments> {
  return async (request, context) => {
    const { organizationId } = context;
    const scope = `segments/${organizationId}`;
    const { size, afterId } = readPage(deps.pageTokens, scope, request);
    await ensureTouched(deps.database, organizationId, deps.clock.nowMs());
    const found = await listSegmentsPage(deps.database.reader, organizationId, afterId, size + 1);
    const { rows, nextPageToken } = cutPage(deps.pageTokens, scope, found, size, ({ id }) => id);
    const ids = rows.map(({ id }) => id);
    await waitForSegments(deps, context, organizationId, ids);
    return { segments: await describeSegments(deps.database.reader, organizationId, rows), nextPageToken };
  };
}
