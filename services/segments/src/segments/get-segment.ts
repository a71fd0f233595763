// GetSegment: returns one segment by id or slug, with its member count.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { findSegmentById } from "../segment-model/segment-store.ts";
import { findSegment } from "./find-segment.ts";
import { describeSegments } from "./segment-proto.ts";
import { waitForSegments } from "./wait-for-segments.ts";

export function getSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.getSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const segment = await findSegment(deps, organizationId, request.segmentId);
    await waitForSegments(deps, context, organizationId, [segment]);
    // Read again in one snapshot, because the rule may have switched meanwhile, or may switch between two
    // statements.
    const [described] = await deps.database.snapshot(async (trx) => {
      const current = await findSegmentById(trx, organizationId, segment.id);
      return describeSegments(trx, organizationId, current === undefined ? [] : [current]);
    });
    if (described === undefined) throw new AppError("SEGMENT_NOT_FOUND");
    return { segment: described };
  };
}
