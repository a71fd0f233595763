// Issues the tokens by which the previous address undoes a change of the address.
import type { Transaction } from "@muster/db";
import { issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import type { User } from "../users/user.ts";

const UNDO_LIFETIME_MS = 7 * 86_400_000;

interface EmailChange {
  readonly nowMs: number;
  /** When the user requested the change: the undo removes a second factor that was added later. */
  readonly requestTimeMs: number;
}

/** `user` is the state before the change. */
export function issueUndoToken(
  trx: Transaction,
  user: User,
  { nowMs, requestTimeMs }: EmailChange,
): Promise<string> {
  return issueOneTimeToken(trx, {
    purpose: "undo_email",
    userId: user.id,
    // Not compared: a change of the password must not keep the previous address from undoing the change.
    securityVersion: user.securityVersion,
    details: { email: user.email, request_time_ms: String(requestTimeMs) },
    createTimeMs: nowMs,
    expireTimeMs: nowMs + UNDO_LIFETIME_MS,
  });
}
