// ResendVerification: sends the mail of a pending registration again, with a further token.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ResendVerificationResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail } from "@muster/core";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { findUserByEmail } from "../users/user-store.ts";
import {
  PENDING_MAILS_MAX,
  type PendingRegistration,
  registrationToRepeat,
  VERIFICATION_LIFETIME_MS,
} from "./registration.ts";
import { insertRegistration, listRegistrations } from "./registration-store.ts";

export function resendVerification(
  deps: IdentityDeps,
): UnaryHandler<typeof AccountService.method.resendVerification> {
  return (request, context) => {
    const emailKey = canonicalEmail(request.email);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await findUserByEmail(trx, emailKey);
      const pending = await listRegistrations(trx, emailKey, nowMs);
      const repeated = user?.isEmailVerified === true ? undefined : registrationToRepeat(pending);
      const isSent = repeated !== undefined && pending.length < PENDING_MAILS_MAX;
      const token = newMailToken();
      const registration = repeated ?? absentRegistration(deps, emailKey, nowMs);
      // Every address costs the same statements: a row that has expired stands for no registration.
      await insertRegistration(trx, token.hash, {
        ...registration,
        createTimeMs: nowMs,
        expireTimeMs: isSent ? nowMs + VERIFICATION_LIFETIME_MS : nowMs,
      });
      await deps.mailer.queue(trx, {
        kind: "verify_email",
        to: registration.email,
        locale: undefined,
        values: { name: registration.name, token: token.text },
        isDecoy: !isSent,
      });
      write.afterCommit(() => deps.mailer.wake());
      return create(ResendVerificationResponseSchema);
    });
  };
}

function absentRegistration({ ids }: IdentityDeps, emailKey: string, nowMs: number): PendingRegistration {
  return {
    registrationId: ids.next(nowMs),
    email: emailKey,
    emailKey,
    name: "",
    passwordHash: undefined,
    organizationName: undefined,
    invitationHash: undefined,
    createTimeMs: nowMs,
    expireTimeMs: nowMs,
  };
}
