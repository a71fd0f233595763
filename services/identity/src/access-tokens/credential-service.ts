// Lists the RPCs that verify credentials with their handlers, and the same look-ups for this process.
import {
  accessTokenCredentials,
  apiKeyCredentials,
  type CredentialLookup,
  type PartnerVerifier,
} from "@muster/authz";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import type { Clock } from "@muster/core";
import type { Database } from "@muster/db";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { ownApiKeyUsage } from "../api-key-usage/add-api-key-usage.ts";
import { reportApiKeyUsage } from "../api-key-usage/report-api-key-usage.ts";
import { ownApiKeyLookup, verifyApiKey } from "../api-keys/verify-api-key.ts";
import type { IdentityDeps } from "../deps.ts";
import { verifyPartner } from "../partners/verify-partner.ts";
import { listSigningKeys } from "../signing-keys/list-published-keys.ts";
import { ownAccessTokenLookups, verifySession } from "./verify-session.ts";

export function credentialService(deps: IdentityDeps, partners: PartnerVerifier): ServiceImplementation {
  return implement(CredentialService, {
    verifyApiKey: verifyApiKey(ownApiKeyLookup(deps.database, deps.clock)),
    reportApiKeyUsage: reportApiKeyUsage(ownApiKeyUsage(deps.database, deps.clock)),
    verifySession: verifySession(deps),
    verifyPartner: verifyPartner(partners),
    listSigningKeys: listSigningKeys(deps),
  });
}

/** Look-ups in identity's own database, for the processes that run identity. */
export function ownCredentials(database: Database, clock: Clock): readonly CredentialLookup[] {
  return [
    apiKeyCredentials(ownApiKeyLookup(database, clock)),
    accessTokenCredentials(ownAccessTokenLookups({ database, clock }), clock),
  ];
}
