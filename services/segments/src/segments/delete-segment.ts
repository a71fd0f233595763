// DeleteSegment: the segment is gone from every read at once; its owners clear away what it kept.
import type { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { AppError } from "@muster/errors";
import type { MethodHandler } from "@muster/rpc";
import { deleteBackfills } from "../backfills/backfill-store.ts";
import { addPurges } from "../backfills/purge-store.ts";
import type { SegmentsDeps } from "../deps.ts";
import { WORK_TOPIC } from "../folder.ts";
import { findSegment } from "./find-segment.ts";
import { lockOrganization, segmentsChanged } from "./organization-store.ts";
import { deleteSegmentRow } from "./segment-store.ts";

export function deleteSegment(deps: SegmentsDeps): MethodHandler<typeof SegmentService.method.deleteSegment> {
  return async (request, context) => {
    const { organizationId } = context;
    const { id } = await findSegment(deps, organizationId, request.segmentId);
    await deps.database.transaction(async (trx) => {
      const known = await lockOrganization(trx, organizationId);
      // Two at once: the other one deleted it, and answered so.
      if (!(await deleteSegmentRow(trx, organizationId, id))) throw new AppError("SEGMENT_NOT_FOUND");
      await deleteBackfills(trx, organizationId, id);
      await addPurges(trx, organizationId, id);
      await segmentsChanged(trx, organizationId, known, -1);
      await deps.announcer.announceDeleted(trx, organizationId, id);
    });
    deps.announcer.wake();
    deps.bus.broadcast(WORK_TOPIC, new Uint8Array());
    return {};
  };
}
