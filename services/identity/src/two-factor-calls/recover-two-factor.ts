// RecoverTwoFactor: mails a link to recover from a lost second factor, for the challenge of a login.
import { create } from "@bufbuild/protobuf";
import {
  RecoverTwoFactorResponseSchema,
  type TwoFactorService,
} from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { deleteOneTimeTokens, issueOneTimeToken } from "../one-time-tokens/one-time-token-store.ts";
import { lockChallenge } from "../two-factor/lock-challenge.ts";
import { notifyOwner } from "../two-factor/notify-owner.ts";

const LINK_LIFETIME_MS = 24 * 3_600_000;

export function recoverTwoFactor(
  deps: IdentityDeps,
): UnaryHandler<typeof TwoFactorService.method.recoverTwoFactor> {
  return async (request, context) => {
    const nowMs = await deps.database.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      // The challenge stays: the user may find the authenticator, or call again after a lost response.
      const { user } = await lockChallenge(trx, request.challenge, nowMs);
      await deleteOneTimeTokens(trx, user.id, "recover");
      const token = await issueOneTimeToken(trx, {
        purpose: "recover",
        userId: user.id,
        securityVersion: user.securityVersion,
        details: {},
        createTimeMs: nowMs,
        expireTimeMs: nowMs + LINK_LIFETIME_MS,
      });
      const { client } = context;
      await notifyOwner(deps, trx, write, { user, kind: "recovery_requested", token, client, nowMs });
      return create(RecoverTwoFactorResponseSchema);
    });
  };
}
