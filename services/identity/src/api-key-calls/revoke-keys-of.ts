// Ends the API keys that a member has made, together with the membership.
import { type ApiKeyId, type OrganizationId, PlainError, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { Write } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import { type ApiKey, isValidAt } from "../api-keys/api-key.ts";
import { apiKeyRevoked } from "../api-keys/api-key-events.ts";
import { lockApiKeysOf, removeApiKeys } from "../api-keys/api-key-store.ts";
import { voidInvitationsOf } from "../invitations/void-invitations.ts";

const PERMISSION = "api_keys.write";
/** Keys that one transaction ends. */
export const KEYS_AT_ONCE = 100;

/** Thrown where the member has more keys than one transaction ends. */
export class MoreKeys extends PlainError {
  override name = "MoreKeys";
}

/** PERMISSION_DENIED for a caller that may not revoke keys. */
export function requireKeyPermission({ principal }: CallContext): void {
  if ("permissions" in principal && principal.permissions.has(PERMISSION)) return;
  throw new AppError("PERMISSION_DENIED", { details: { permission: PERMISSION } });
}

export interface KeysOfMember {
  readonly organizationId: OrganizationId;
  readonly createdBy: UserId;
}

/**
 * Ends every key of the member; throws MoreKeys where they are too many. The caller has locked the organization, so that no
 * key is made before the commit. Resolves to the ids of the ended keys, whose end the caller announces.
 */
export async function revokeKeysOf(
  trx: Transaction,
  write: Pick<Write, "publish">,
  { organizationId, createdBy }: KeysOfMember,
  nowMs: number,
): Promise<ApiKeyId[]> {
  const keys = await lockApiKeysOf(trx, organizationId, createdBy, KEYS_AT_ONCE + 1);
  if (keys.length > KEYS_AT_ONCE) throw new MoreKeys("the member has more keys");
  return revoke(trx, write, keys, nowMs);
}

/** As revokeKeysOf, for the oldest keys alone. */
export async function revokeSomeKeysOf(
  trx: Transaction,
  write: Pick<Write, "publish">,
  { organizationId, createdBy }: KeysOfMember,
  nowMs: number,
): Promise<ApiKeyId[]> {
  return revoke(trx, write, await lockApiKeysOf(trx, organizationId, createdBy, KEYS_AT_ONCE), nowMs);
}

async function revoke(
  trx: Transaction,
  write: Pick<Write, "publish">,
  keys: readonly ApiKey[],
  nowMs: number,
): Promise<ApiKeyId[]> {
  await removeApiKeys(
    trx,
    keys.map(({ id }) => id),
  );
  for (const key of keys) {
    await voidInvitationsOf(trx, key.organizationId, key.id);
    if (isValidAt(key, nowMs)) write.publish(apiKeyRevoked(key, nowMs));
  }
  return keys.map(({ id }) => id);
}
