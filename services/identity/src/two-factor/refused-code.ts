// Turns a code that was not accepted into the error of the call, and records a lock.
import type { IdSource } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError, type ReasonName } from "@muster/errors";
import { Refusal } from "@muster/outbox";
import type { ClientInfo } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { User } from "../users/user.ts";
import type { CodeCheck } from "./check-code.ts";

/** The caller throws the result, so that the counted failure commits. */
export async function refusalOf(
  deps: { readonly ids: IdSource },
  trx: Transaction,
  refused: {
    readonly check: Exclude<CodeCheck, { kind: "accepted" }>;
    readonly user: Pick<User, "id">;
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
    await insertActivity(trx, deps, { userId: user.id, kind: "two_factor_locked", timeMs: nowMs, client });
  }
  return new Refusal(new AppError(reason));
}
