// RotateApiKey: creates a successor with the same name and scopes; the old key ends after the overlap. Of
// several concurrent rotations of a key exactly one succeeds.
import { create } from "@bufbuild/protobuf";
import {
  type ApiKeyService,
  RotateApiKeyResponseSchema,
} from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { type ApiKey, isValidAt, parseApiKeyId } from "./api-key.ts";
import { apiKeyRotated } from "./api-key-events.ts";
import { apiKeyToProto } from "./api-key-proto.ts";
import { findApiKey, insertApiKey, removeEndedApiKeys, setApiKeyEnd } from "./api-key-store.ts";
import { issueApiKey } from "./issue-api-key.ts";
import { requireHeldScopes } from "./requested-scopes.ts";

export function rotateApiKey(deps: IdentityDeps): UnaryHandler<typeof ApiKeyService.method.rotateApiKey> {
  return async (request, context) => {
    const { organizationId } = context;
    const id = parseApiKeyId(request.apiKeyId);
    const nowMs = deps.clock.nowMs();
    const old = await findApiKey(deps.database.reader, organizationId, id);
    if (old === undefined || !isValidAt(old, nowMs)) throw new AppError("API_KEY_NOT_FOUND");
    // The response contains the new secret, which must not grant more than the caller holds.
    requireHeldScopes(old.scopes, context);
    const { name, scopes } = old;
    const { apiKey, secret } = issueApiKey(deps, { organizationId, name, scopes });
    const response = create(RotateApiKeyResponseSchema, { apiKey: apiKeyToProto(apiKey), secret });
    const endMs = nowMs + request.overlapSeconds * 1_000;
    return writeTransaction(deps, context, async (trx, write) => {
      await endOld(trx, old, endMs);
      await removeEndedApiKeys(trx, organizationId, nowMs);
      await insertApiKey(trx, apiKey);
      const revocations = await countRevocations(trx, [{ credentialId: id, hasEnded: false }]);
      write.publish(apiKeyRotated(old, apiKey, endMs));
      write.afterCommit(() => announceRevocations(deps, revocations));
      return response;
    });
  };
}

/** Succeeds only if no end was set before, which only a rotation does. */
async function endOld(trx: Transaction, { organizationId, id }: ApiKey, endMs: number): Promise<void> {
  if (await setApiKeyEnd(trx, organizationId, id, endMs)) return;
  const found = await findApiKey(trx, organizationId, id);
  throw new AppError(found === undefined ? "API_KEY_NOT_FOUND" : "API_KEY_ROTATED");
}
