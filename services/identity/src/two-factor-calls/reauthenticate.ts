// Reauthenticate: records in the session that the user entered the password or a code, for a step-up.
import { create } from "@bufbuild/protobuf";
import type { UserPrincipal } from "@muster/authz";
import {
  type ReauthenticateResponse,
  ReauthenticateResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { CallContext, ClientInfo, UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { requireBoundedPassword } from "../passwords/acceptable-password.ts";
import { setSessionAuthentication } from "../sessions/session-store.ts";
import { checkPassword } from "../throttling/check-password.ts";
import { checkCode } from "../two-factor/check-code.ts";
import { callerOf, lockCaller } from "../two-factor/lock-caller.ts";
import { refusalOf } from "../two-factor/refused-code.ts";
import { findSecondFactor } from "../two-factor/second-factor.ts";
import { findUser } from "../users/user-store.ts";

export function reauthenticate(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.reauthenticate> {
  return async ({ credential }, context) => {
    switch (credential.case) {
      case "password":
        return byPassword(deps, credential.value, context);
      case "code":
        return byCode(deps, credential.value, context);
      default:
        throw new AppError("FIELD_INVALID");
    }
  };
}

async function byPassword(
  deps: IdentityDeps,
  password: string,
  context: CallContext,
): Promise<ReauthenticateResponse> {
  const caller = callerOf(context);
  const { client } = context;
  const known = await findUser(deps.database.reader, caller.id);
  if (known === undefined) throw new AppError("SESSION_ENDED");
  requireBoundedPassword(password, "password");
  await checkPassword(deps, { user: known, password, client });
  const nowMs = await deps.database.nowMs();
  return writeTransaction(deps, context, async (trx) => {
    const user = await lockCaller(trx, caller);
    // Changed while the old one was compared.
    if (user.passwordHash !== known.passwordHash) throw new AppError("CREDENTIALS_INVALID");
    return recordEntry(deps, trx, { caller, client, nowMs });
  });
}

async function byCode(
  deps: IdentityDeps,
  typed: string,
  context: CallContext,
): Promise<ReauthenticateResponse> {
  const caller = callerOf(context);
  const { client } = context;
  const nowMs = await deps.database.nowMs();
  return writeTransaction(deps, context, async (trx, write) => {
    const user = await lockCaller(trx, caller);
    const { factor } = await findSecondFactor(trx, user, nowMs);
    // A factor that only an access token vouches for proves nothing: see TotpFactor.trustTimeMs.
    if (factor?.trustTimeMs === undefined) throw new AppError("CREDENTIALS_INVALID");
    const check = await checkCode(trx, deps.twoFactorKeys, { user, factor, typed }, nowMs);
    if (check.kind !== "accepted") {
      throw await refusalOf(deps, trx, write, { check, user, client, nowMs }, "CREDENTIALS_INVALID");
    }
    if (check.method === "backup_code") {
      await insertActivity(trx, deps, { userId: user.id, kind: "backup_code_used", timeMs: nowMs, client });
    }
    return recordEntry(deps, trx, { caller, client, nowMs });
  });
}

async function recordEntry(
  deps: IdentityDeps,
  trx: Transaction,
  entry: { readonly caller: UserPrincipal; readonly client: ClientInfo; readonly nowMs: number },
): Promise<ReauthenticateResponse> {
  const { caller, client, nowMs } = entry;
  if (!(await setSessionAuthentication(trx, caller.sessionId, nowMs))) throw new AppError("SESSION_ENDED");
  await insertActivity(trx, deps, { userId: caller.id, kind: "reauthenticated", timeMs: nowMs, client });
  return create(ReauthenticateResponseSchema);
}
