// Returns the public keys that verify access tokens now.
import type { PublishedKey } from "@muster/authz";
import type { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { type Clock, uuidToBytes } from "@muster/core";
import type { Database } from "@muster/db";
import type { UnaryHandler } from "@muster/rpc";
import { isPublished } from "./signing-key.ts";
import { listSigningKeys as readSigningKeys } from "./signing-key-store.ts";

/** Newest first. */
export async function listPublishedKeys({
  database,
  clock,
}: {
  readonly database: Database;
  readonly clock: Clock;
}): Promise<PublishedKey[]> {
  const nowMs = clock.nowMs();
  return (await readSigningKeys(database.reader)).filter((key) => isPublished(key, nowMs));
}

/** ListSigningKeys: the same keys for the services of the installation. */
export function listSigningKeys(deps: {
  readonly database: Database;
  readonly clock: Clock;
}): UnaryHandler<typeof CredentialService.method.listSigningKeys> {
  return async () => {
    const keys = await listPublishedKeys(deps);
    return { keys: keys.map(({ id, x, y }) => ({ id: uuidToBytes(id), x, y })) };
  };
}
