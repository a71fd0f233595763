// SendMagicLink: mails a link to sign in and, where the client has a challenge, a six-digit code.
import { create } from "@bufbuild/protobuf";
import {
  type MagicLinkService,
  SendMagicLinkResponseSchema,
} from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { canonicalEmail, emailProblem } from "@muster/core";
import { invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { findUserByEmail } from "../users/user-store.ts";
import { readCodeChallenge } from "./code-challenge.ts";
import { insertMagicLink } from "./magic-link-store.ts";
import { hashMailCode, newMailCode } from "./mail-code.ts";

const LINK_LIFETIME_MS = 10 * 60_000;

export function sendMagicLink(
  deps: IdentityDeps,
): UnaryHandler<typeof MagicLinkService.method.sendMagicLink> {
  return async (request, context) => {
    const problem = emailProblem(request.email);
    if (problem !== undefined) throw invalidField("email", problem);
    const codeChallenge =
      request.codeChallenge === undefined ? undefined : readCodeChallenge(request.codeChallenge);
    const nowMs = await deps.database.nowMs();
    const { text: token, hash: tokenHash } = newMailToken();
    const code = newMailCode();
    return writeTransaction(deps, context, async (trx, write) => {
      // An address without an account takes the same statements: its row belongs to nobody, its mail is a decoy.
      const user = await findUserByEmail(trx, canonicalEmail(request.email));
      const id = deps.ids.next(nowMs);
      const isQueued = await deps.mailer.queue(trx, {
        to: user?.email ?? request.email,
        kind: "magic_link",
        locale: user?.locale,
        values: { name: user?.name ?? "", token, ...(codeChallenge === undefined ? {} : { code }) },
        isDecoy: user === undefined,
      });
      if (isQueued) {
        await insertMagicLink(trx, {
          id,
          tokenHash,
          codeHash: codeChallenge && hashMailCode(deps.twoFactorKeys.mailCodes, id, code),
          codeChallenge,
          wrongCodes: 0,
          userId: user?.id,
          securityVersion: user?.securityVersion ?? 0,
          createTimeMs: nowMs,
          expireTimeMs: nowMs + LINK_LIFETIME_MS,
        });
      }
      write.afterCommit(() => deps.mailer.wake());
      return create(SendMagicLinkResponseSchema);
    });
  };
}
