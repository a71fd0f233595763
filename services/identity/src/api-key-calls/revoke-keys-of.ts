// Ends the API keys that a member has made, together with the membership.
import type { ApiKeyId, OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Write } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import { isValidAt } from "../api-keys/api-key.ts";
import { apiKeyRevoked } from "../api-keys/api-key-events.ts";
import { removeApiKeysOf } from "../api-keys/api-key-store.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";

const PERMISSION = "api_keys.write";

/** PERMISSION_DENIED for a caller that may not revoke keys. */
export function requireKeyPermission({ principal }: CallContext): void {
  if ("permissions" in principal && principal.permissions.has(PERMISSION)) return;
  throw new AppError("PERMISSION_DENIED", { details: { permission: PERMISSION } });
}

/** Resolves to the ids of the ended keys, whose end the caller announces. */
export async function revokeKeysOf(
  trx: Transaction,
  write: Pick<Write, "publish">,
  organizationId: OrganizationId,
  createdBy: UserId,
  nowMs: number,
): Promise<ApiKeyId[]> {
  const keys = await removeApiKeysOf(trx, organizationId, createdBy);
  for (const key of keys) {
    await voidInvitationsOf(trx, organizationId, key.id);
    if (isValidAt(key, nowMs)) write.publish(apiKeyRevoked(key, nowMs));
  }
  return keys.map(({ id }) => id);
}
