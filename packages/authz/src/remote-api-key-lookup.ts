// Looks API keys up in identity from another process. Whatever keeps identity from answering is
// UNAVAILABLE, never a wrong "unauthenticated".
import { bytesToUuid, type Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ApiKeyLookup } from "./api-key-verifier.ts";

/** Many requests may wait for one look-up, so it has a deadline of its own. */
const DEADLINE_MS = 5_000;

/** Marks the UNAUTHENTICATED that speaks of the key asked about, not of the asking service's token. */
const UNKNOWN_KEY_DETAIL = { credential: "api_key" };

/** What CredentialService answers about a key that nobody may use (any more). */
export function unknownApiKey(): AppError {
  return new AppError("UNAUTHENTICATED", { details: UNKNOWN_KEY_DETAIL });
}

/** The one method of a CredentialService client that is needed here. */
export interface CredentialClient {
  verifyApiKey(
    request: { keyHash: Uint8Array },
    options: { readonly deadlineMs: number },
  ): Promise<{
    readonly apiKeyId: Uint8Array;
    readonly organizationId: Uint8Array;
    readonly scopes: readonly string[];
    readonly expireTimeMs: bigint;
  }>;
}

/** A lookup by CredentialService.VerifyApiKey. */
export function remoteApiKeyLookup(client: CredentialClient, clock: Clock): ApiKeyLookup {
  return async (keyHash) => {
    try {
      const found = await client.verifyApiKey({ keyHash }, { deadlineMs: clock.nowMs() + DEADLINE_MS });
      return {
        id: bytesToUuid(found.apiKeyId),
        organizationId: bytesToUuid(found.organizationId),
        scopes: found.scopes,
        expireTimeMs: found.expireTimeMs === 0n ? undefined : Number(found.expireTimeMs),
      };
    } catch (error) {
      if (isUnknownKey(error)) return undefined;
      throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000, cause: error });
    }
  };
}

function isUnknownKey(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.reason === "UNAUTHENTICATED" &&
    error.details.credential === UNKNOWN_KEY_DETAIL.credential
  );
}
