// Turns a code that was not accepted into the error of the call, and notifies the owner of a lock.
import type { Transaction } from "@muster/db";
import { AppError, type ReasonName } from "@muster/errors";
import { Refusal, type Write } from "@muster/outbox";
import type { ClientInfo } from "@muster/rpc";
import type { User } from "../users/user.ts";
import type { CodeCheck } from "./check-code.ts";
import { type NotifyDeps, notifyOwner } from "./notify-owner.ts";

/** The caller throws the result, so that the counted failure commits. */
export async function refusalOf(
  deps: NotifyDeps,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  refused: {
    readonly check: Exclude<CodeCheck, { kind: "accepted" }>;
    readonly user: User;
    readonly client: ClientInfo;
    readonly nowMs: number;
  },
  reason: Extract<ReasonName, "CODE_INVALID" | "CREDENTIALS_INVALID">,
): Promise<Refusal> {
  const { check, user, client, nowMs } = refused;
  if (check.kind === "locked") {
    return new Refusal(new AppError("TWO_FACTOR_LOCKED", { retryAfterMs: check.retryAfterMs }));
  }
  if (check.isLockedNow) {
    await notifyOwner(deps, trx, write, { user, kind: "two_factor_locked", client, nowMs });
  }
  return new Refusal(new AppError(reason));
}
