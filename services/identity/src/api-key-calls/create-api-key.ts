// CreateApiKey: creates a key of the caller's organization, with no more scopes than the caller's.
import { create } from "@bufbuild/protobuf";
import {
  type ApiKeyService,
  CreateApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { apiKeyCreated } from "../api-keys/api-key-events.ts";
import { apiKeyToProto } from "../api-keys/api-key-proto.ts";
import { insertApiKey } from "../api-keys/api-key-store.ts";
import { issueApiKey } from "../api-keys/issue-api-key.ts";
import type { IdentityDeps } from "../deps.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { requireCurrentMaker } from "./current-maker.ts";
import { requestedEnd, requestedRank, requireOwner } from "./requested-rank.ts";
import { requireHeldScopes, requireKnownScopes } from "./requested-scopes.ts";

export function createApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.createApiKey> {
  return async (request, context) => {
    const { organizationId } = context;
    const { name, scopes } = request;
    requireKnownScopes(scopes);
    requireHeldScopes(scopes, context);
    const expireTimeMs = requestedEnd(request.expireTime, "expire_time", deps.clock.nowMs());
    const grantUpTo = requestedRank(request.grantUpTo, "grant_up_to");
    const issued = issueApiKey(deps, { organizationId, name, scopes, expireTimeMs, grantUpTo });
    return writeTransaction(deps, context, async (trx, write) => {
      await lockOrganization(trx, organizationId);
      const apiKey = { ...issued.apiKey, createdBy: await requireCurrentMaker(trx, context) };
      if (grantUpTo !== undefined) await requireOwner(trx, context);
      await insertApiKey(trx, apiKey);
      write.publish(apiKeyCreated(apiKey));
      const { secret } = issued;
      return create(CreateApiKeyResponseSchema, { apiKey: apiKeyToProto(apiKey), secret });
    });
  };
}
