// Lists the RPCs about API keys with their handlers.
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { createApiKey } from "./create-api-key.ts";
import { deleteApiKey } from "./delete-api-key.ts";
import { getApiKeyUsage } from "./get-api-key-usage.ts";
import { listApiKeys } from "./list-api-keys.ts";
import { rotateApiKey } from "./rotate-api-key.ts";
import { updateApiKey } from "./update-api-key.ts";

export function apiKeyService(deps: IdentityDeps): ServiceImplementation {
  return implement(ApiKeyService, {
    createApiKey: createApiKey(deps),
    listApiKeys: listApiKeys(deps),
    getApiKeyUsage: getApiKeyUsage(deps),
    updateApiKey: updateApiKey(deps),
    deleteApiKey: deleteApiKey(deps),
    rotateApiKey: rotateApiKey(deps),
  });
}
