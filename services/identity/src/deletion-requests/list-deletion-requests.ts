// ListDeletionRequests: lists the deletion requests of the caller's organization, oldest first.
import { DeletionRequestSchema } from "@muster/contracts/muster/identity/v1/deletion_request_pb";
import type { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { isUuid } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import {
  type DeletionRequestCursor,
  listDeletionRequestPage,
} from "../deletion-request-storage/deletion-request-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { deletionRequestToProto } from "./deletion-request-proto.ts";

export function listDeletionRequests({
  database: { reader },
  pageTokens,
}: IdentityDeps): UnaryHandler<typeof DeletionRequestService.method.listDeletionRequests> {
  return async (request, { organizationId }) => {
    const scope = `deletion-requests/${organizationId}`;
    const { items, nextPageToken } = await readPage(pageTokens, scope, request, cursorOf).fill({
      item: DeletionRequestSchema,
      read: (after, limit) => listDeletionRequestPage(reader, organizationId, after, limit),
      positionOf: ({ createTimeMs, id }) => [createTimeMs, id],
      toItems: async (requests) => requests.map(deletionRequestToProto),
    });
    return { deletionRequests: items, nextPageToken };
  };
}

function cursorOf([createTimeMs, id]: PagePosition): DeletionRequestCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string" || !isUuid(id)) return undefined;
  return { createTimeMs, id };
}
