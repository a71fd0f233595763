// Identity's composition root: the only file that constructs identity's parts.
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { PageTokens } from "@muster/core";
import { IdempotencyWorker } from "@muster/idempotency";
import { implement } from "@muster/rpc";
import type { ModuleDefinition } from "@muster/runtime";
import { ApiKeyStore } from "./api-keys/api-key-store.ts";
import { createApiKey } from "./api-keys/create-api-key.ts";
import { deleteApiKey } from "./api-keys/delete-api-key.ts";
import { listApiKeys } from "./api-keys/list-api-keys.ts";
import { rotateApiKey } from "./api-keys/rotate-api-key.ts";
import { ownApiKeyLookup, verifyApiKey } from "./api-keys/verify-api-key.ts";
import type { IdentityDeps } from "./deps.ts";
import { knownPermissions } from "./known-permissions.ts";
import { createOrganization } from "./organizations/create-organization.ts";
import { getOrganization } from "./organizations/get-organization.ts";
import { listOrganizations } from "./organizations/list-organizations.ts";
import { OrganizationStore } from "./organizations/organization-store.ts";
import { updateOrganization } from "./organizations/update-organization.ts";

export { ownApiKeyLookup } from "./api-keys/verify-api-key.ts";
export * from "./provisioning.ts";

export const identityModule: ModuleDefinition = {
  name: "identity",
  migrations: new URL("../migrations/", import.meta.url),
  async build(platform) {
    const { clock, ids, database, bus, log } = platform;
    const deps: IdentityDeps = {
      clock,
      ids,
      database,
      bus,
      pageTokens: new PageTokens(platform.key("page-tokens")),
      organizations: new OrganizationStore(),
      apiKeys: new ApiKeyStore(),
      knownPermissions: knownPermissions(),
    };
    return {
      services: [
        implement(OrganizationService, {
          createOrganization: createOrganization(deps),
          listOrganizations: listOrganizations(deps),
          updateOrganization: updateOrganization(deps),
        }),
        implement(ApiKeyService, {
          createApiKey: createApiKey(deps),
          listApiKeys: listApiKeys(deps),
          deleteApiKey: deleteApiKey(deps),
          rotateApiKey: rotateApiKey(deps),
        }),
        implement(CredentialService, { verifyApiKey: verifyApiKey(ownApiKeyLookup(database, clock)) }),
        implement(OrganizationDirectoryService, { getOrganization: getOrganization(deps) }),
      ],
      workers: [new IdempotencyWorker({ database, clock, log })],
    };
  },
};
