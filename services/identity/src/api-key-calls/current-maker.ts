// Finds the maker of a new API key, and refuses a caller who has ended since the credential was verified.
import type { ApiKeyId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import { findApiKey } from "../api-keys/api-key-store.ts";
import { readActor, requirePermitted } from "../membership-rules/actor.ts";

const PERMISSION = "api_keys.write";

/**
 * The calling user, or the maker of the calling key; undefined for a key that no user made. The transaction has locked the
 * organization, as the removal of a member with the keys of the member does: whoever is removed makes no key afterwards.
 */
export async function requireCurrentMaker(
  trx: Transaction,
  context: CallContext,
): Promise<UserId | undefined> {
  const { principal, organizationId } = context;
  if (principal.kind === "api_key") {
    const key = await findApiKey(trx, organizationId, principal.id as ApiKeyId);
    if (key === undefined) throw new AppError("UNAUTHENTICATED");
    return key.createdBy;
  }
  const actor = await readActor(trx, context, PERMISSION);
  requirePermitted(actor, PERMISSION);
  return actor.userId;
}
