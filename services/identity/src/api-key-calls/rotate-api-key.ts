// RotateApiKey: creates a successor with the same name, scopes, end and rank; the old key ends after the overlap. Of
// several concurrent rotations of a key exactly one succeeds.
import { create } from "@bufbuild/protobuf";
import {
  type ApiKeyService,
  RotateApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { isValidAt, parseApiKeyId } from "../api-keys/api-key.ts";
import { apiKeyRotated } from "../api-keys/api-key-events.ts";
import { apiKeyToProto } from "../api-keys/api-key-proto.ts";
import { endApiKey, insertApiKey, lockApiKey, removeEndedApiKeys } from "../api-keys/api-key-store.ts";
import { issueApiKey } from "../api-keys/issue-api-key.ts";
import type { IdentityDeps } from "../deps.ts";
import { lockOrganization } from "../organizations/organization-store.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { requireCurrentMaker } from "./current-maker.ts";
import { requireRankOf } from "./requested-rank.ts";
import { requireHeldScopes } from "./requested-scopes.ts";

export function rotateApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.rotateApiKey> {
  return async (request, context) => {
    const { organizationId } = context;
    const id = parseApiKeyId(request.apiKeyId);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      await lockOrganization(trx, organizationId);
      const maker = await requireCurrentMaker(trx, context);
      const old = await lockApiKey(trx, organizationId, id);
      if (old === undefined || !isValidAt(old, nowMs)) throw new AppError("API_KEY_NOT_FOUND");
      if (old.isRotated) throw new AppError("API_KEY_ROTATED");
      // The response contains the new secret, which must not grant more than the caller holds.
      requireHeldScopes(old.scopes, context);
      await requireRankOf(trx, context, old.grantUpTo);
      // Rotated by a key, the successor keeps the maker, who would otherwise approve an own deletion request.
      const createdBy = maker ?? old.createdBy;
      const { apiKey, secret } = issueApiKey(deps, { ...old, createdBy });
      const endMs = Math.min(
        nowMs + request.overlapSeconds * 1_000,
        old.expireTimeMs ?? Number.MAX_SAFE_INTEGER,
      );
      await endApiKey(trx, old, endMs);
      await removeEndedApiKeys(trx, organizationId, nowMs);
      await insertApiKey(trx, apiKey);
      const revocations = await countRevocations(trx, [{ credentialId: id, hasEnded: false }]);
      write.publish(apiKeyRotated(old, apiKey, endMs));
      write.afterCommit(() => announceRevocations(deps, revocations));
      return create(RotateApiKeyResponseSchema, { apiKey: apiKeyToProto(apiKey), secret });
    });
  };
}
