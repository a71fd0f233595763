// Lists the look-ups of every kind of credential for processes that do not run identity.
import type { Clock } from "@muster/core";
import { accessTokenCredentials } from "./access-token-lookup.ts";
import { apiKeyCredentials, type CredentialLookup } from "./credential-lookup.ts";
import { type CredentialClient, remoteApiKeyLookup } from "./remote-api-key-lookup.ts";
import { remoteAccessTokenLookups, type SessionClient } from "./remote-session-lookup.ts";

/** Look-ups by a client of CredentialService. */
export function remoteCredentials(
  client: CredentialClient & SessionClient,
  clock: Clock,
): readonly CredentialLookup[] {
  return [
    apiKeyCredentials(remoteApiKeyLookup(client, clock)),
    accessTokenCredentials(remoteAccessTokenLookups(client, clock), clock),
  ];
}
