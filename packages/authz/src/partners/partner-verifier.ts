// Verifies requests of partners, in identity itself or by a call of identity.
import { bytesToUuid, type Clock } from "@muster/core";
import { AppError } from "@muster/errors";
import type { PartnerPrincipal } from "../principal.ts";

/** The parts of a request that prove which partner sent it. */
export interface PartnerRequest {
  readonly keyHash: Buffer;
  /** The header X-Signature. */
  readonly signature: string;
  readonly body: Uint8Array;
}

/** Undefined where no partner has signed the request within the last minutes. */
export type PartnerVerifier = (request: PartnerRequest) => Promise<PartnerPrincipal | undefined>;

const DEADLINE_MS = 5_000;
/** Marks an UNAUTHENTICATED error about the partner, as opposed to the calling service's token. */
const PARTNER_DETAIL = { credential: "partner" };

/** The error of CredentialService for a request that no partner has signed. */
export function unknownPartner(): AppError {
  return new AppError("UNAUTHENTICATED", { details: PARTNER_DETAIL });
}

/** The method of a CredentialService client that this file needs. */
interface PartnerClient {
  verifyPartner(
    request: PartnerRequest,
    options: { readonly deadlineMs: number },
  ): Promise<{ readonly partnerId: Uint8Array }>;
}

/** Every failure to reach identity becomes UNAVAILABLE, never a wrong "unauthenticated". */
export function remotePartnerVerifier(client: PartnerClient, clock: Clock): PartnerVerifier {
  return async (request) => {
    try {
      const { partnerId } = await client.verifyPartner(request, {
        deadlineMs: clock.nowMs() + DEADLINE_MS,
      });
      return { kind: "partner", id: bytesToUuid(partnerId) };
    } catch (error) {
      if (isUnknownPartner(error)) return undefined;
      throw new AppError("UNAVAILABLE", { retryAfterMs: 1_000, cause: error });
    }
  };
}

function isUnknownPartner(error: unknown): boolean {
  return (
    error instanceof AppError &&
    error.reason === "UNAUTHENTICATED" &&
    error.details.credential === PARTNER_DETAIL.credential
  );
}
