// ListErasures lists receipts, newest first.
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { cutPage, idPosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { erasureToProto } from "./erasure-proto.ts";
import { listErasures as readErasures } from "./erasure-store.ts";

export function listErasures({
  database,
  pageTokens,
}: Pick<EventsDeps, "database" | "pageTokens">): UnaryHandler<typeof ErasureService.method.listErasures> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["erasures", organizationId]);
    const { size, after } = readPage(pageTokens, scope, request, idPosition);
    const erasures = await readErasures(database.reader, organizationId, after, size + 1);
    const { rows, nextPageToken } = cutPage(pageTokens, scope, erasures, size, ({ id }) => [id]);
    return { erasures: rows.map(erasureToProto), nextPageToken };
  };
}
