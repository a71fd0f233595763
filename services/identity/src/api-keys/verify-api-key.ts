// VerifyApiKey: whose key this is, for the other services; and the same look-up for identity itself.
import { type ApiKeyLookup, unknownApiKey } from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type Clock, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { isValidAt } from "./api-key.ts";
import { ApiKeyStore } from "./api-key-store.ts";

/** Looks keys up in identity's own database: for the processes that run identity. */
export function ownApiKeyLookup(database: Database, clock: Clock): ApiKeyLookup {
  const apiKeys = new ApiKeyStore();
  return async (keyHash) => {
    const key = await apiKeys.findByHash(database.reader, keyHash);
    return key !== undefined && isValidAt(key, clock.nowMs()) ? key : undefined;
  };
}

export function verifyApiKey(
  lookup: ApiKeyLookup,
): UnaryHandler<typeof CredentialService.method.verifyApiKey> {
  return async (request) => {
    const key = await lookup(request.keyHash);
    if (key === undefined) throw unknownApiKey();
    return {
      apiKeyId: uuidToBytes(key.id),
      organizationId: uuidToBytes(key.organizationId),
      scopes: [...key.scopes],
      expireTimeMs: BigInt(key.expireTimeMs ?? 0),
    };
  };
}
