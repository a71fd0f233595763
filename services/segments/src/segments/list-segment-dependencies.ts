// ListSegmentDependencies: returns the segments that a rule references, and the segments that reference it.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { SegmentReferenceSchema } from "@muster/contracts/muster/segments/v1/segment_checks_pb";
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { MethodHandler } from "@muster/rpc";
import { segmentsIn } from "../engine/rule/rule.ts";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { dependentsOf, savedRule } from "../rule-versions/evaluations.ts";
import type { Segment } from "../segment-model/segment.ts";
import { listSegmentsOf } from "../segment-model/segment-store.ts";
import { findSegment } from "./find-segment.ts";

export function listSegmentDependencies(
  deps: SegmentsDeps,
): MethodHandler<typeof SegmentService.method.listSegmentDependencies> {
  return async (request, context) => {
    const { organizationId } = context;
    const segment = await findSegment(deps, organizationId, request.segmentId);
    const all = await listSegmentsOf(deps.database.reader, [organizationId]);
    const used = new Set([...segmentsIn(segment.rule), ...segmentsIn(savedRule(segment))]);
    return {
      uses: referencesTo(all.filter(({ id }) => used.has(id))),
      usedBy: referencesTo(dependentsOf(all, segment.id)),
    };
  };
}

function referencesTo(segments: readonly Segment[]): MessageInitShape<typeof SegmentReferenceSchema>[] {
  // Ids are UUIDv7, so the oldest segment comes first.
  const sorted = [...segments].sort((a, b) => (a.id < b.id ? -1 : 1));
  return sorted.map(({ id, slug, name }) => ({ id, slug, name }));
}
