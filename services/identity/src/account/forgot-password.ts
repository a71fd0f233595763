// ForgotPassword: sends a link to reset the password. Addresses without an account cost the same statements.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ForgotPasswordResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail } from "@muster/core";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { queueResetMail } from "../passwords/reset-mail.ts";
import { findUserByEmail } from "../users/user-store.ts";

export function forgotPassword(
  deps: IdentityDeps,
): UnaryHandler<typeof AccountService.method.forgotPassword> {
  return (request, context) => {
    const emailKey = canonicalEmail(request.email);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await findUserByEmail(trx, emailKey);
      await queueResetMail(deps, trx, user ?? { email: emailKey }, nowMs);
      write.afterCommit(() => deps.mailer.wake());
      return create(ForgotPasswordResponseSchema);
    });
  };
}
