// GetErasure reads one receipt.
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { isUuid } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { erasureToProto } from "./erasure-proto.ts";
import { getErasure as readErasure } from "./erasure-store.ts";

export function getErasure(
  deps: Pick<EventsDeps, "database">,
): UnaryHandler<typeof ErasureService.method.getErasure> {
  return async ({ erasureId: id }, { organizationId }) => {
    const erasure = isUuid(id) ? await readErasure(deps.database.reader, { organizationId, id }) : undefined;
    if (erasure === undefined) throw new AppError("ERASURE_NOT_FOUND");
    return { erasure: erasureToProto(erasure) };
  };
}
