// GetSegment: one segment by id or slug, with its count.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../deps.ts";
import { findSegment } from "./find-segment.ts";
import { describeSegments } from "./segment-proto.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function getSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.getSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const segment = await findSegment(deps, organizationId, request.segmentId);
    await waitForSegments(deps, context, organizationId, [segment.id]);
    const [described] = await describeSegments(deps.database.reader, organizationId, [segment]);
    if (described === undefined) throw new AppError("SEGMENT_NOT_FOUND");
    return { segment: described };
  };
}
