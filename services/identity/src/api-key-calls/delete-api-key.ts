// DeleteApiKey: ends a key at once. Deleting the key that makes the call is allowed.
import { create } from "@bufbuild/protobuf";
import {
  type ApiKeyService,
  DeleteApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { isValidAt, parseApiKeyId } from "../api-keys/api-key.ts";
import { apiKeyRevoked } from "../api-keys/api-key-events.ts";
import { findApiKey, removeApiKey } from "../api-keys/api-key-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";

export function deleteApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.deleteApiKey> {
  return async (request, context) => {
    const { organizationId } = context;
    const id = parseApiKeyId(request.apiKeyId);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const key = await findApiKey(trx, organizationId, id);
      const removed = await removeApiKey(trx, organizationId, id);
      if (!removed || key === undefined || !isValidAt(key, nowMs)) throw new AppError("API_KEY_NOT_FOUND");
      await voidInvitationsOf(trx, organizationId, id);
      const revocations = await countRevocations(trx, [{ credentialId: id, hasEnded: true }]);
      write.publish(apiKeyRevoked(key, nowMs));
      write.afterCommit(() => announceRevocations(deps, revocations));
      return create(DeleteApiKeyResponseSchema);
    });
  };
}
