// ListApiKeys: lists the valid keys of the caller's organization, oldest first.
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { type ApiKeyId, PAGE_SIZE_DEFAULT, type PageTokens } from "@muster/core";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { apiKeyToProto } from "./api-key-proto.ts";
import type { ApiKeyCursor } from "./api-key-store.ts";

export function listApiKeys(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.listApiKeys> {
  return async (request, { organizationId }) => {
    const tokenScope = `api-keys/${organizationId}`;
    const after = cursorOf(deps.pageTokens, tokenScope, request.pageToken);
    const pageSize = request.pageSize === 0 ? PAGE_SIZE_DEFAULT : request.pageSize;
    const { reader } = deps.database;
    // A further row shows whether another page follows.
    const found = await deps.apiKeys.listPage(
      reader,
      organizationId,
      deps.clock.nowMs(),
      after,
      pageSize + 1,
    );
    const page = found.slice(0, pageSize);
    const last = page.at(-1);
    const more = found.length > pageSize && last !== undefined;
    return {
      apiKeys: page.map(apiKeyToProto),
      nextPageToken: more ? deps.pageTokens.seal(tokenScope, [last.createTimeMs, last.id]) : "",
    };
  };
}

function cursorOf(tokens: PageTokens, scope: string, token: string): ApiKeyCursor | undefined {
  if (token === "") return undefined;
  const [createTimeMs, id] = tokens.open(scope, token) ?? [];
  if (typeof createTimeMs !== "number" || typeof id !== "string") throw new AppError("PAGE_TOKEN_INVALID");
  return { createTimeMs, id: id as ApiKeyId };
}
