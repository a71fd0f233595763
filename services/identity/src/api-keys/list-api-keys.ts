// ListApiKeys: lists the valid keys of the caller's organization, oldest first.
import { ApiKeySchema } from "@muster/contracts/muster/identity/v1/api_key_pb";
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import type { ApiKeyId } from "@muster/core";
import { type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { apiKeyToProto } from "./api-key-proto.ts";
import { type ApiKeyCursor, listApiKeyPage } from "./api-key-store.ts";

export function listApiKeys(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.listApiKeys> {
  const { clock, database, pageTokens } = deps;
  return async (request, { organizationId }) => {
    const scope = `api-keys/${organizationId}`;
    const nowMs = clock.nowMs();
    const { items, nextPageToken } = await readPage(pageTokens, scope, request, cursorOf).fill({
      item: ApiKeySchema,
      read: (after, limit) => listApiKeyPage(database.reader, organizationId, nowMs, after, limit),
      positionOf: ({ createTimeMs, id }) => [createTimeMs, id],
      toItems: (keys) => keys.map(apiKeyToProto),
    });
    return { apiKeys: items, nextPageToken };
  };
}

function cursorOf([createTimeMs, id]: PagePosition): ApiKeyCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string") return undefined;
  return { createTimeMs, id: id as ApiKeyId };
}
