// Finds the user who is responsible for a call: the caller, or the user who made the calling key.
import type { ApiKeyId, OrganizationId, UserId } from "@muster/core";
import type { Queryable } from "@muster/db";
import type { CallContext } from "@muster/rpc";
import { findApiKey } from "./api-key-store.ts";

/** Undefined for a key that no user made. */
export async function findResponsibleUser(
  queryable: Queryable,
  organizationId: OrganizationId,
  principal: CallContext["principal"],
): Promise<UserId | undefined> {
  if (principal.kind === "user") return principal.id;
  if (principal.kind !== "api_key") return undefined;
  return (await findApiKey(queryable, organizationId, principal.id as ApiKeyId))?.createdBy;
}
