// ListErasures lists receipts, newest first.
import { ErasureSchema } from "@muster/contracts/muster/events/v1/erasure_pb";
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { idPosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { erasureToProto } from "./erasure-proto.ts";
import { listErasures as readErasures } from "./erasure-store.ts";

export function listErasures({
  database,
  pageTokens,
}: Pick<EventsDeps, "database" | "pageTokens">): UnaryHandler<typeof ErasureService.method.listErasures> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["erasures", organizationId]);
    const { items, nextPageToken } = await readPage(pageTokens, scope, request, idPosition).fill({
      item: ErasureSchema,
      read: (after, limit) => readErasures(database.reader, organizationId, after, limit),
      positionOf: ({ id }) => [id],
      toItems: (erasures) => erasures.map(erasureToProto),
    });
    return { erasures: items, nextPageToken };
  };
}
