// Announces that credentials of users, sessions or organizations have changed, so that every process verifies them
// again.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { announceRevocations } from "./announce-revocations.ts";
import { countRevocations } from "./revocation-count-store.ts";

/** Call it last in a transaction, once; see countRevocations. */
export async function announceChanges(
  deps: Pick<IdentityDeps, "bus" | "clock">,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  credentialIds: readonly string[],
): Promise<void> {
  const changes = credentialIds.map((credentialId) => ({ credentialId, hasEnded: false }));
  const revocations = await countRevocations(trx, changes);
  write.afterCommit(() => announceRevocations(deps, revocations));
}
