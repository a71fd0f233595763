// Looks API keys up in identity from another process. Every failure to reach identity becomes UNAVAILABLE,
// never a wrong "unauthenticated".
import type { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { bytesToUuid, type Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { ApiKeyLookup } from "./credential-lookup.ts";
import { roleFromProto } from "./roles/role-proto.ts";

/** Many requests may wait for the same look-up, so the look-up has a deadline of its own. */
const DEADLINE_MS = 5_000;

/** Marks an UNAUTHENTICATED error about the key itself, as opposed to the calling service's token. */
const UNKNOWN_KEY_DETAIL = { credential: "api_key" };

/** The error of CredentialService for a key that is unknown, revoked or expired. */
export function unknownApiKey(): AppError {
  return new AppError("UNAUTHENTICATED", { details: UNKNOWN_KEY_DETAIL });
}

/** The method of a CredentialService client that this file needs. */
export interface CredentialClient {
  verifyApiKey(
    request: { keyHash: Uint8Array },
    options: { readonly deadlineMs: number },
  ): Promise<{
    readonly apiKeyId: Uint8Array;
    readonly organizationId: Uint8Array;
    readonly scopes: readonly string[];
    readonly expireTimeMs: bigint;
    readonly grantUpTo: RoleMessage;
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
        grantUpTo: roleFromProto(found.grantUpTo),
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
