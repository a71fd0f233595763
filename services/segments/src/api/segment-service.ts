// Implements SegmentService: the handler of each method, from the slices of this service.
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { implement } from "@muster/rpc";
import { backtestSegment } from "../backtest/backtest-segment.ts";
import { explainMembership } from "../explain/explain-membership.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { batchCheckMemberships } from "../membership-queries/batch-check-memberships.ts";
import { listProfileSegments } from "../membership-queries/list-profile-segments.ts";
import { listSegmentMembers } from "../membership-queries/list-segment-members.ts";
import { estimateSegmentCost } from "../preview/estimate-cost.ts";
import { previewSegment } from "../preview/preview-segment.ts";
import { createSegment } from "../segments/create-segment.ts";
import { deleteSegment } from "../segments/delete-segment.ts";
import { getSegment } from "../segments/get-segment.ts";
import { listSegmentDependencies } from "../segments/list-segment-dependencies.ts";
import { listSegments } from "../segments/list-segments.ts";
import { updateSegment } from "../segments/update-segment.ts";
import { watchSegment } from "../watches/watch-segment.ts";

export function segmentService(deps: SegmentsDeps) {
  return implement(SegmentService, {
    createSegment: createSegment(deps),
    getSegment: getSegment(deps),
    listSegments: listSegments(deps),
    updateSegment: updateSegment(deps),
    deleteSegment: deleteSegment(deps),
    listSegmentMembers: listSegmentMembers(deps),
    listProfileSegments: listProfileSegments(deps),
    watchSegment: watchSegment(deps),
    batchCheckMemberships: batchCheckMemberships(deps),
    listSegmentDependencies: listSegmentDependencies(deps),
    explainMembership: explainMembership(deps),
    previewSegment: previewSegment(deps),
    backtestSegment: backtestSegment(deps),
    estimateSegmentCost: estimateSegmentCost(deps),
  });
}
