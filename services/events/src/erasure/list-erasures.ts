// ListErasures lists receipts, newest first.
import type { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { isUuid, PAGE_SIZE_DEFAULT } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { erasureToProto } from "./erasure-proto.ts";
import { listErasures as readPage } from "./erasure-store.ts";

export function listErasures(
  deps: Pick<EventsDeps, "database" | "pageTokens">,
): UnaryHandler<typeof ErasureService.method.listErasures> {
  return async (request, { organizationId }) => {
    const scope = JSON.stringify(["erasures", organizationId]);
    const before = openToken(deps, scope, request.pageToken);
    const pageSize = request.pageSize || PAGE_SIZE_DEFAULT;
    const erasures = await readPage(deps.database.reader, organizationId, before, pageSize + 1);
    const page = erasures.slice(0, pageSize);
    const last = page.at(-1);
    const hasMore = erasures.length > pageSize && last !== undefined;
    return {
      erasures: page.map(erasureToProto),
      nextPageToken: hasMore ? deps.pageTokens.seal(scope, [last.id]) : "",
    };
  };
}

function openToken(
  { pageTokens }: Pick<EventsDeps, "pageTokens">,
  scope: string,
  token: string,
): string | undefined {
  if (token === "") return undefined;
  const [id] = pageTokens.open(scope, token) ?? [];
  if (typeof id !== "string" || !isUuid(id)) throw new AppError("PAGE_TOKEN_INVALID");
  return id;
}
