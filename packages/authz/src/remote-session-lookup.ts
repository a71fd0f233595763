// Looks access tokens up in identity from another process. Every failure to reach identity becomes UNAVAILABLE,
// never a wrong "unauthenticated".
import type { Role as RoleMessage } from "@muster/contracts/muster/identity/v1/user_pb";
import { bytesToUuid, type Clock, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import type { AccessTokenLookups } from "./access-token-lookup.ts";
import type { Refusal } from "./credential-lookup.ts";
import { roleFromProto } from "./roles/role-proto.ts";

/** Many requests may wait for the same look-up, so the look-up has a deadline of its own. */
const DEADLINE_MS = 5_000;

/** Marks an UNAUTHENTICATED error about the signing key, as opposed to the calling service's token. */
const SIGNING_KEY_DETAIL = { credential: "signing_key" };

/** The error of CredentialService for a token that is refused. */
export function sessionRefusal(refusal: Refusal): AppError {
  return refusal === "SESSION_ENDED"
    ? new AppError("SESSION_ENDED")
    : new AppError("UNAUTHENTICATED", { details: SIGNING_KEY_DETAIL });
}

interface CallOptions {
  readonly deadlineMs: number;
}

/** The methods of a CredentialService client that this file needs. */
export interface SessionClient {
  verifySession(
    request: { sessionId: Uint8Array; signingKeyId: Uint8Array },
    options: CallOptions,
  ): Promise<{
    readonly userId: Uint8Array;
    readonly organizationId: Uint8Array;
    readonly role: RoleMessage;
    readonly authenticatedTimeMs: bigint;
    readonly stepUpMethods: readonly string[];
    readonly needsSecondFactor: boolean;
    readonly expireTimeMs: bigint;
  }>;
  listSigningKeys(
    request: object,
    options: CallOptions,
  ): Promise<{ readonly keys: readonly { id: Uint8Array; x: Uint8Array; y: Uint8Array }[] }>;
}

/** Look-ups by CredentialService. */
export function remoteAccessTokenLookups(client: SessionClient, clock: Clock): AccessTokenLookups {
  const options = (): CallOptions => ({ deadlineMs: clock.nowMs() + DEADLINE_MS });
  return {
    async publishedKeys() {
      const { keys } = await client.listSigningKeys({}, options()).catch(unavailable);
      return keys.map(({ id, x, y }) => ({ id: bytesToUuid(id), x, y }));
    },
    async session(sessionId, signingKeyId) {
      const request = { sessionId: uuidToBytes(sessionId), signingKeyId: uuidToBytes(signingKeyId) };
      const found = await client
        .verifySession(request, options())
        .catch((error: unknown) => refusalOf(error) ?? unavailable(error));
      if (typeof found === "string") return found;
      const { organizationId, authenticatedTimeMs } = found;
      return {
        userId: bytesToUuid(found.userId),
        organizationId: organizationId.length === 0 ? undefined : bytesToUuid(organizationId),
        role: roleFromProto(found.role),
        authenticatedMs: authenticatedTimeMs === 0n ? undefined : Number(authenticatedTimeMs),
        stepUpMethods: found.stepUpMethods,
        needsSecondFactor: found.needsSecondFactor,
        expireTimeMs: Number(found.expireTimeMs),
      };
    },
  };
}

function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof AppError)) return undefined;
  if (error.reason === "SESSION_ENDED") return "SESSION_ENDED";
  const isAboutKey = error.details.credential === SIGNING_KEY_DETAIL.credential;
  return error.reason === "UNAUTHENTICATED" && isAboutKey ? "UNAUTHENTICATED" : undefined;
}

function unavailable(error: unknown): never {
  throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000, cause: error });
}
