// VerifyApiKey: returns the owner and the scopes of a key, for the other services and for identity itself.
import { type ApiKeyLookup, unknownApiKey } from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type Clock, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { isValidAt } from "./api-key.ts";
import { findApiKeyByHash } from "./api-key-store.ts";

/** Looks keys up in identity's own database: for the processes that run identity. */
export function ownApiKeyLookup(database: Database, clock: Clock): ApiKeyLookup {
  return async (keyHash) => {
    const key = await findApiKeyByHash(database.reader, keyHash);
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
