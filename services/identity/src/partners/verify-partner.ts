// VerifyPartner: returns the partner that signed a request, for the gateway and for identity itself.
import {
  isSignedBy,
  isTimely,
  type PartnerVerifier,
  parsePartnerSignature,
  unknownPartner,
} from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type Clock, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { type OwnKey, PartnerStore } from "./partner-store.ts";

interface VerifyDeps {
  readonly clock: Clock;
  readonly database: Database;
  readonly ownKey: OwnKey;
}

/**
 * Verifies requests in identity's own database. A replay within the tolerance is harmless, because an external id
 * provisions a single organization.
 */
export function ownPartnerVerifier({ clock, database, ownKey }: VerifyDeps): PartnerVerifier {
  const partners = new PartnerStore(ownKey);
  return async ({ keyHash, signature: header, body }) => {
    const signature = parsePartnerSignature(header);
    if (signature === undefined || !isTimely(signature, clock.nowMs())) return undefined;
    const partner = await partners.findByKey(database.reader, keyHash);
    if (partner === undefined || !isSignedBy(partner.secret, signature, body)) return undefined;
    return { kind: "partner", id: partner.id };
  };
}

export function verifyPartner(
  verify: PartnerVerifier,
): UnaryHandler<typeof CredentialService.method.verifyPartner> {
  return async ({ keyHash, signature, body }) => {
    const partner = await verify({ keyHash: Buffer.from(keyHash), signature, body });
    if (partner === undefined) throw unknownPartner();
    return { partnerId: uuidToBytes(partner.id) };
  };
}
