// RedeemMagicLink: signs in by the token or the code of a mail. A second factor still applies.
import { create } from "@bufbuild/protobuf";
import {
  type MagicLinkService,
  type RedeemMagicLinkRequest,
  RedeemMagicLinkResponseSchema,
} from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import type { Queryable, Transaction } from "@muster/db";
import { AppError, invalidField } from "@muster/errors";
import { Refusal, type Write, writeTransaction } from "@muster/outbox";
import type { ClientInfo, UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { completeLogin } from "../login/complete-login.ts";
import { mailTokenHash } from "../one-time-tokens/mail-token.ts";
import { recordVerification } from "../registration/record-verification.ts";
import { deleteRegistrations } from "../registration/registration-store.ts";
import { issueChallenge } from "../two-factor/challenge.ts";
import { findGuesses, saveGuesses } from "../two-factor/guess-store.ts";
import { hasSecondFactor } from "../two-factor/second-factor.ts";
import { lockedForMs, MAIL_CODE_LIMIT, withFailure } from "../two-factor-rules/guess-limit.ts";
import type { User } from "../users/user.ts";
import { lockUser, saveUser } from "../users/user-store.ts";
import { challengeOf, isVerifierOf } from "./code-challenge.ts";
import {
  countWrongCode,
  deleteMagicLink,
  findMagicLink,
  findMagicLinkByToken,
  findNewestMagicLink,
  type MagicLink,
} from "./magic-link-store.ts";
import { isMailCode } from "./mail-code.ts";

/** Wrong codes after which the code of a mail is dead. The link still works. */
const WRONG_CODES_MAX = 5;

export function redeemMagicLink(
  deps: IdentityDeps,
): UnaryHandler<typeof MagicLinkService.method.redeemMagicLink> {
  return async (request, context) => {
    requireOneCredential(request);
    const nowMs = await deps.database.nowMs();
    const { client } = context;
    return writeTransaction(deps, context, async (trx, write) => {
      const { link, user } = await lockLink(trx, request, nowMs);
      if (request.code !== undefined)
        await checkMailCode(deps, trx, { link, user, typed: request.code, nowMs });
      else if (!isVerifierOf(request.codeVerifier, link.codeChallenge)) throw dead();
      if (user.isPasswordResetRequired) throw new AppError("PASSWORD_RESET_REQUIRED");
      await deleteMagicLink(trx, link.id);
      if (!user.isEmailVerified) await verifyAddress(deps, trx, write, { user, client, nowMs });
      if (await hasSecondFactor(trx, user, nowMs)) {
        throw new Refusal(await issueChallenge(trx, user, "magic_link", nowMs));
      }
      const methods = ["magic_link"] as const;
      const tokens = await completeLogin(deps, trx, write, { user, methods, client, nowMs });
      return create(RedeemMagicLinkResponseSchema, { tokens });
    });
  };
}

function requireOneCredential({ token, code, codeVerifier }: RedeemMagicLinkRequest): void {
  if ((token === undefined) === (code === undefined))
    throw invalidField("token", "must be set, or else code");
  if (code !== undefined && codeVerifier === undefined) {
    throw invalidField(
      "code_verifier",
      "must be set, because a code works only for the client that asked for it",
    );
  }
}

/** CODE_INVALID for a link that is unknown, used, expired, or older than a change of the address or the password. */
async function lockLink(
  trx: Transaction,
  request: RedeemMagicLinkRequest,
  nowMs: number,
): Promise<{ readonly link: MagicLink; readonly user: User }> {
  const found = await findLink(trx, request);
  const user = found?.userId && (await lockUser(trx, found.userId));
  // Read again, because another call may have used the link, or guessed its code, before the lock.
  const link = user && (await findMagicLink(trx, found?.id ?? ""));
  if (link === undefined || user === undefined) throw dead();
  if (nowMs >= link.expireTimeMs || link.securityVersion !== user.securityVersion) throw dead();
  return { link, user };
}

function findLink(
  queryable: Queryable,
  { token, codeVerifier = "" }: RedeemMagicLinkRequest,
): Promise<MagicLink | undefined> | undefined {
  if (token === undefined) {
    const codeChallenge = challengeOf(codeVerifier);
    return codeChallenge && findNewestMagicLink(queryable, codeChallenge);
  }
  const tokenHash = mailTokenHash(token);
  return tokenHash && findMagicLinkByToken(queryable, tokenHash);
}

/** Each refusal is the same, so that a guess shows neither whether the address has an account nor what is used up. */
async function checkMailCode(
  deps: IdentityDeps,
  trx: Transaction,
  {
    link,
    user,
    typed,
    nowMs,
  }: { readonly link: MagicLink; readonly user: User; readonly typed: string; readonly nowMs: number },
): Promise<void> {
  const guesses = await findGuesses(trx, user.id, "mail_code");
  if (lockedForMs(guesses, nowMs) > 0 || link.wrongCodes >= WRONG_CODES_MAX || link.codeHash === undefined)
    throw dead();
  if (isMailCode(deps.twoFactorKeys.mailCodes, link.id, typed, link.codeHash)) return;
  await countWrongCode(trx, link.id);
  await saveGuesses(trx, user.id, "mail_code", withFailure(guesses, MAIL_CODE_LIMIT, nowMs));
  throw new Refusal(dead());
}

/** The link proves the address and no password: a password from before the proof may be that of a stranger. */
async function verifyAddress(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  { user, client, nowMs }: { readonly user: User; readonly client: ClientInfo; readonly nowMs: number },
): Promise<void> {
  await deleteRegistrations(trx, user.emailKey);
  await saveUser(trx, { ...user, isEmailVerified: true, passwordHash: undefined, updateTimeMs: nowMs });
  await recordVerification(deps, trx, write, { userId: user.id, client, nowMs });
}

function dead(): AppError {
  return new AppError("CODE_INVALID");
}
