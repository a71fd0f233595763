// UpdateApiKey: changes the name, the scopes, the end and the rank of a key, for every process at once.
import { create } from "@bufbuild/protobuf";
import {
  type ApiKeyService,
  type UpdateApiKeyRequest,
  UpdateApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { AppError, invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import { type CallContext, changedPaths, type UnaryHandler } from "@muster/rpc";
import { type ApiKey, isValidAt, parseApiKeyId } from "../api-keys/api-key.ts";
import { apiKeyUpdated } from "../api-keys/api-key-events.ts";
import { apiKeyToProto } from "../api-keys/api-key-proto.ts";
import { lockApiKey, saveApiKey } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { INVITE_PERMISSION, voidInvitationsOf } from "../invitations/void-invitations.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { announceChanges } from "../revocation/announce-changes.ts";
import { requestedEnd, requestedRank, requireOwner } from "./requested-rank.ts";
import { requireHeldScopes, requireKnownScopes } from "./requested-scopes.ts";

type Changes = Partial<Pick<ApiKey, "name" | "scopes" | "expireTimeMs" | "grantUpTo">>;

const FIELDS = {
  name: "name",
  scopes: "scopes",
  expire_time: "expireTime",
  grant_up_to: "grantUpTo",
} as const;

export function updateApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.updateApiKey> {
  return async (request, context) => {
    const { organizationId } = context;
    const id = parseApiKeyId(request.apiKeyId);
    const nowMs = deps.clock.nowMs();
    const changes = changesOf(request, context, nowMs);
    return writeTransaction(deps, context, async (trx, write) => {
      await lockOrganization(trx, organizationId);
      const before = await lockApiKey(trx, organizationId, id);
      if (before === undefined || !isValidAt(before, nowMs)) throw new AppError("API_KEY_NOT_FOUND");
      if (before.isRotated) throw new AppError("API_KEY_ROTATED");
      if ("grantUpTo" in changes) await requireOwner(trx, context);
      const after = { ...before, ...changes };
      // Nobody prolongs a key that may do more than the caller.
      if ("expireTimeMs" in changes) requireHeldScopes(after.scopes, context);
      await saveApiKey(trx, after);
      if (!after.scopes.includes("*") && !after.scopes.includes(INVITE_PERMISSION)) {
        await voidInvitationsOf(trx, organizationId, id);
      }
      write.publish(apiKeyUpdated(after, nowMs));
      await announceChanges(deps, trx, write, [id]);
      return create(UpdateApiKeyResponseSchema, { apiKey: apiKeyToProto(after) });
    });
  };
}

function changesOf(request: UpdateApiKeyRequest, context: CallContext, nowMs: number): Changes {
  const { apiKey } = request;
  const changes: { -readonly [K in keyof Changes]: Changes[K] } = {};
  for (const path of changedPaths(request.updateMask, apiKey, FIELDS)) {
    if (path === "name") {
      if (apiKey?.name === undefined) throw invalidField("api_key.name", "can't be cleared");
      changes.name = apiKey.name;
    } else if (path === "scopes") {
      changes.scopes = requestedScopes(apiKey?.scopes ?? [], context);
    } else if (path === "expire_time") {
      changes.expireTimeMs = requestedEnd(apiKey?.expireTime, "api_key.expire_time", nowMs);
    } else {
      changes.grantUpTo = requestedRank(apiKey?.grantUpTo, "api_key.grant_up_to");
    }
  }
  return changes;
}

function requestedScopes(scopes: readonly string[], context: CallContext): readonly string[] {
  if (scopes.length === 0) throw invalidField("api_key.scopes", "can't be cleared");
  requireKnownScopes(scopes, "api_key.scopes");
  requireHeldScopes(scopes, context);
  return scopes;
}
