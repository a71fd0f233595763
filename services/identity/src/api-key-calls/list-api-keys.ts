// ListApiKeys: lists the valid keys of the caller's organization, oldest first.
import { ApiKeySchema } from "@muster/contracts/muster/identity/v1/api_key_pb";
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { type ApiKeyId, isUuid, type UserId } from "@muster/core";
import { invalidField } from "@muster/errors";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import { apiKeyToProto } from "../api-keys/api-key-proto.ts";
import { type ApiKeyCursor, listApiKeyPage } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";

export function listApiKeys(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.listApiKeys> {
  const { clock, database, pageTokens } = deps;
  return async (request, { organizationId }) => {
    const createdBy = createdByOf(request.createdBy);
    const scope = `api-keys/${organizationId}/${createdBy ?? ""}`;
    const selection = { organizationId, createdBy, nowMs: clock.nowMs() };
    const { items, nextPageToken } = await readPage(pageTokens, scope, request, cursorOf).fill({
      item: ApiKeySchema,
      read: (after, limit) => listApiKeyPage(database.reader, selection, after, limit),
      positionOf: ({ createTimeMs, id }) => [createTimeMs, id],
      toItems: (keys) => keys.map(apiKeyToProto),
    });
    return { apiKeys: items, nextPageToken };
  };
}

function createdByOf(text: string): UserId | undefined {
  if (text === "") return undefined;
  if (!isUuid(text)) throw invalidField("created_by", "must be the id of a user");
  return text as UserId;
}

function cursorOf([createTimeMs, id]: PagePosition): ApiKeyCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string") return undefined;
  return { createTimeMs, id: id as ApiKeyId };
}
