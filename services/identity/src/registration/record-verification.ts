// Publishes and records that the address of a user was verified.
import type { IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { ClientInfo } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import { listActiveMemberships } from "../memberships/membership-store.ts";
import type { User } from "../users/user.ts";
import { userVerified } from "../users/user-events.ts";

interface Verification {
  readonly userId: User["id"];
  readonly client: ClientInfo;
  readonly nowMs: number;
}

export async function recordVerification(
  deps: { readonly ids: IdSource },
  trx: Transaction,
  write: Pick<Write, "publish">,
  { userId, client, nowMs }: Verification,
): Promise<void> {
  for (const { organizationId } of await listActiveMemberships(trx, userId)) {
    write.publish(userVerified({ organizationId, userId }, nowMs));
  }
  await insertActivity(trx, deps, { userId, kind: "email_verified", timeMs: nowMs, client });
}
