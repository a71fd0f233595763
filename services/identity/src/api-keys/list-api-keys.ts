// ListApiKeys: lists the valid keys of the caller's organization, oldest first.
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import type { ApiKeyId } from "@muster/core";
import { cutPage, type PagePosition, readPage, type UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { apiKeyToProto } from "./api-key-proto.ts";
import { type ApiKeyCursor, listApiKeyPage } from "./api-key-store.ts";

export function listApiKeys(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.listApiKeys> {
  const { clock, database, pageTokens } = deps;
  return async (request, { organizationId }) => {
    const scope = `api-keys/${organizationId}`;
    const { size, after } = readPage(pageTokens, scope, request, cursorOf);
    const found = await listApiKeyPage(database.reader, organizationId, clock.nowMs(), after, size + 1);
    const page = cutPage(pageTokens, scope, found, size, ({ createTimeMs, id }) => [createTimeMs, id]);
    return { apiKeys: page.rows.map(apiKeyToProto), nextPageToken: page.nextPageToken };
  };
}

function cursorOf([createTimeMs, id]: PagePosition): ApiKeyCursor | undefined {
  if (typeof createTimeMs !== "number" || typeof id !== "string") return undefined;
  return { createTimeMs, id: id as ApiKeyId };
}
