// DeleteSegment: removes a segment from all reads at once. The owners of the shards delete its data later.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { SegmentId } from "@muster/core";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import type { SegmentsDeps } from "../handlers/deps.ts";
import { changeSegmentCount, lockOrganization } from "../organizations/organization-store.ts";
import { dependentsOf } from "../rule-versions/evaluations.ts";
import { dropEvaluation, switchFinishedRules } from "../rule-versions/rule-switch.ts";
import type { Segment } from "../segment-model/segment.ts";
import { deleteSegmentRow, listSegmentsOf } from "../segment-model/segment-store.ts";
import { WORK_TOPIC } from "../topics.ts";
import { findSegment } from "./find-segment.ts";

/** The number of dependents in an error message. */
const DEPENDENTS_SHOWN = 20;

export function deleteSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.deleteSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const { id } = await findSegment(deps, organizationId, request.segmentId);
    await deps.database.transaction(async (trx) => {
      const organization = await lockOrganization(trx, organizationId);
      const segments = await listSegmentsOf(trx, [organizationId]);
      const segment = segments.find((one) => one.id === id);
      // A concurrent call has deleted the segment.
      if (segment === undefined) throw new AppError("SEGMENT_NOT_FOUND");
      rejectIfReferenced(segments, id);
      await deleteSegmentRow(trx, organizationId, id);
      await dropEvaluation(trx, organizationId, segment.evaluationId);
      if (segment.pending !== undefined) {
        await dropEvaluation(trx, organizationId, segment.pending.evaluationId);
      }
      await changeSegmentCount(trx, organizationId, organization, -1);
      // Other pending segments may have waited for this segment alone.
      await switchFinishedRules(trx, organizationId, deps.announcer);
      await deps.announcer.announceDeleted(trx, organizationId, id);
    });
    deps.announcer.wake();
    deps.bus.broadcast(WORK_TOPIC, new Uint8Array());
    return {};
  };
}

/** Throws SEGMENT_IN_USE with the segments that reference this one. */
function rejectIfReferenced(segments: readonly Segment[], id: SegmentId): void {
  const dependents = dependentsOf(segments, id).map(({ slug }) => slug);
  if (dependents.length === 0) return;
  const shown = dependents.slice(0, DEPENDENTS_SHOWN).join(", ");
  const more =
    dependents.length > DEPENDENTS_SHOWN ? ` and ${dependents.length - DEPENDENTS_SHOWN} more` : "";
  throw new AppError("SEGMENT_IN_USE", {
    message: `Other segments reference this segment: ${shown}${more}.`,
    details: { segments: shown },
  });
}
