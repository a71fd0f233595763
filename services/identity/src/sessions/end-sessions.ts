// Ends sessions, and announces the end to every process that has verified their tokens.
import type { ApiKeyId, SessionId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { announceRevocations } from "../revocation/announce-revocations.ts";
import { countRevocations } from "../revocation/revocation-count-store.ts";
import { endSessions, type SessionSelection } from "./session-store.ts";

/** Of more sessions one announcement for the user is enough: every token of the user is verified again. */
const ANNOUNCEMENTS_MAX = 100;

/** Returns the ids of the sessions that this call has ended. Announces the end of `endedKeys` too. Call it last in a transaction; see countRevocations. */
export async function endSessionsOf(
  deps: Pick<IdentityDeps, "bus" | "clock">,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  selection: SessionSelection,
  endedKeys: readonly ApiKeyId[] = [],
): Promise<SessionId[]> {
  const ended = await endSessions(trx, selection, deps.clock.nowMs());
  const sessions =
    ended.length > ANNOUNCEMENTS_MAX
      ? [{ credentialId: selection.userId, hasEnded: false }]
      : ended.map((credentialId) => ({ credentialId, hasEnded: true }));
  const keys = endedKeys.map((credentialId) => ({ credentialId, hasEnded: true }));
  const revocations = await countRevocations(trx, [...sessions, ...keys]);
  write.afterCommit(() => announceRevocations(deps, revocations));
  return ended;
}
