// Register: starts a registration, and sends a mail to the address. Nothing exists until the address is verified.
import { createHash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  type RegisterRequest,
  RegisterResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { canonicalEmail, emailProblem, emailSpelling } from "@muster/core";
import { invalidField } from "@muster/errors";
import { writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { newMailToken } from "../one-time-tokens/mail-token.ts";
import { requireAcceptablePassword } from "../passwords/acceptable-password.ts";
import { requirePersonName } from "../users/person-name.ts";
import { findUserByEmail } from "../users/user-store.ts";
import { PENDING_MAILS_MAX, type PendingRegistration, VERIFICATION_LIFETIME_MS } from "./registration.ts";
import { insertRegistration, listRegistrations } from "./registration-store.ts";

export function register(deps: IdentityDeps): UnaryHandler<typeof AccountService.method.register> {
  return async (request, context) => {
    const requested = registrationOf(deps, request);
    requireAcceptablePassword(request.password, "password", request.email);
    const passwordHash = await deps.passwords.hash(request.password);
    return writeTransaction(deps, context, async (trx, write) => {
      const { emailKey, email, name, createTimeMs } = requested;
      const user = await findUserByEmail(trx, emailKey);
      const pending = await listRegistrations(trx, emailKey, createTimeMs);
      const isKnown = user?.isEmailVerified === true;
      const isPending = !isKnown && pending.length < PENDING_MAILS_MAX;
      // Every address costs the same statements: a row that has expired stands for no registration.
      const expireTimeMs = isPending ? createTimeMs + VERIFICATION_LIFETIME_MS : createTimeMs;
      const token = newMailToken();
      await insertRegistration(trx, token.hash, { ...requested, passwordHash, expireTimeMs });
      await (isKnown
        ? deps.mailer.queue(trx, {
            kind: "already_registered",
            to: user.email,
            locale: user.locale,
            values: { name: user.name },
          })
        : deps.mailer.queue(trx, {
            kind: "verify_email",
            to: email,
            locale: undefined,
            values: { name, token: token.text },
            isDecoy: !isPending,
          }));
      write.afterCommit(() => deps.mailer.wake());
      return create(RegisterResponseSchema);
    });
  };
}

type Requested = Omit<PendingRegistration, "passwordHash" | "expireTimeMs">;

function registrationOf({ clock, ids }: IdentityDeps, request: RegisterRequest): Requested {
  const problem = emailProblem(request.email);
  if (problem !== undefined) throw invalidField("email", problem);
  const { organizationName, invitationToken } = request;
  const createTimeMs = clock.nowMs();
  return {
    registrationId: ids.next(createTimeMs),
    email: emailSpelling(request.email),
    emailKey: canonicalEmail(request.email),
    name: requirePersonName(request.name, "name"),
    organizationName,
    invitationHash:
      invitationToken === undefined ? undefined : createHash("sha256").update(invitationToken).digest(),
    createTimeMs,
  };
}
