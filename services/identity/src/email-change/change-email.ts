// ChangeEmail: sends a link to the new address. The change takes effect when the link is used.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  ChangeEmailResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail, emailProblem, emailSpelling } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import { insertActivity } from "../activity/activity-store.ts";
import type { IdentityDeps } from "../deps.ts";
import { isInvitedOnly } from "../memberships/release-address.ts";
import { deleteOneTimeTokens, issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { findUserByEmail, lockUser } from "../users/user-store.ts";
import { issueUndoToken } from "./undo-token.ts";

const CONFIRM_LIFETIME_MS = 24 * 3_600_000;

export function changeEmail(deps: IdentityDeps): UnaryHandler<typeof AccountService.method.changeEmail> {
  return async (request, context) => {
    const problem = emailProblem(request.email);
    if (problem !== undefined) throw invalidField("email", problem);
    const email = emailSpelling(request.email);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const user = await lockUser(trx, context.user.id);
      if (user === undefined) throw new AppError("SESSION_ENDED");
      const holder = await findUserByEmail(trx, canonicalEmail(email));
      // An address with an account gets no link, and the caller no sign of it.
      const isTaken = holder !== undefined && holder.id !== user.id && !(await isInvitedOnly(trx, holder));
      await deleteOneTimeTokens(trx, user.id, "change_email");
      const token = await issueOneTimeToken(trx, {
        purpose: "change_email",
        userId: user.id,
        securityVersion: user.securityVersion,
        details: { email },
        createTimeMs: nowMs,
        expireTimeMs: isTaken ? nowMs : nowMs + CONFIRM_LIFETIME_MS,
      });
      const { name, locale } = user;
      await deps.mailer.queue(trx, {
        kind: "email_change_confirm",
        to: email,
        locale,
        values: { name, email, token },
        isDecoy: isTaken,
      });
      const undo = await issueUndoToken(trx, user, { nowMs, requestTimeMs: nowMs });
      await deps.mailer.queue(trx, {
        kind: "email_change_notice",
        to: user.email,
        locale,
        values: { name, email, token: undo },
      });
      const activity = { userId: user.id, timeMs: nowMs, client: context.client };
      await insertActivity(trx, deps, { ...activity, kind: "email_change_requested" });
      write.afterCommit(() => deps.mailer.wake());
      return create(ChangeEmailResponseSchema);
    });
  };
}
