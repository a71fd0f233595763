// DeleteApiKey: ends a key at once. Deleting the key that makes the call is allowed.
import type { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { AppError } from "@muster/errors";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { announceRevocation } from "./announce-revocation.ts";
import { isValidAt, parseApiKeyId } from "./api-key.ts";
import { findApiKey, removeApiKey } from "./api-key-store.ts";
import { countRevocation } from "./revocation-count-store.ts";

export function deleteApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.deleteApiKey> {
  return async (request, { organizationId }) => {
    const id = parseApiKeyId(request.apiKeyId);
    const count = await deps.database.transaction(async (trx) => {
      const key = await findApiKey(trx, organizationId, id);
      const removed = await removeApiKey(trx, organizationId, id);
      const isFound = removed && key !== undefined && isValidAt(key, deps.clock.nowMs());
      return isFound ? countRevocation(trx) : undefined;
    });
    if (count === undefined) throw new AppError("API_KEY_NOT_FOUND");
    await announceRevocation(deps, { apiKeyId: id, count, hasEnded: true });
    return {};
  };
}
