// VerifyApiKey: returns the owner and the scopes of a key, for the other services and for identity itself.
import { type ApiKeyLookup, roleToProto, unknownApiKey } from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type Clock, uuidToBytes, withTimeout } from "@muster/core";
import type { Database } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { isValidAt } from "./api-key.ts";
import { findApiKeyByHash, saveApiKeyUse } from "./api-key-store.ts";

/** The last use of a key is saved at most once in this time. */
const USE_INTERVAL_MS = 60_000;
/** A look-up waits this long for the last use to be saved. */
const USE_PATIENCE_MS = 250;

/**
 * Looks keys up in identity's own database: for the processes that run identity. Processes verify a key in use again every
 * minute, so a look-up stands for the last use.
 */
export function ownApiKeyLookup(database: Database, clock: Clock): ApiKeyLookup {
  return async (keyHash) => {
    const key = await findApiKeyByHash(database.reader, keyHash);
    const nowMs = clock.nowMs();
    if (key === undefined || !isValidAt(key, nowMs)) return undefined;
    const beforeMs = nowMs - USE_INTERVAL_MS;
    if ((key.lastUsedTimeMs ?? beforeMs) <= beforeMs) {
      // Nobody is refused because the use cannot be saved.
      const saved = database.transaction((trx) => saveApiKeyUse(trx, key, nowMs, beforeMs)).catch(() => {});
      await withTimeout(clock, USE_PATIENCE_MS, saved, () => {});
    }
    return key;
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
      grantUpTo: roleToProto(key.grantUpTo),
    };
  };
}
