// VerifyEmail: creates the user of a registration and the requested organization, or accepts the invitation of the
// address, once the address is verified.
import { create } from "@bufbuild/protobuf";
import {
  type AccountService,
  VerifyEmailResponseSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { type Write, writeTransaction } from "@muster/outbox";
import type { UnaryHandler } from "@muster/rpc";
import type { IdentityDeps } from "../deps.ts";
import { joinOrganization, lockOrganizationOfInvitation } from "../invitation-calls/join-organization.ts";
import { mailTokenHash } from "../one-time-tokens/mail-token.ts";
import { insertOwnedOrganization } from "../organizations/insert-owned-organization.ts";
import { createdOrganization, TIME_ZONE_DEFAULT } from "../organizations/organization.ts";
import type { User } from "../users/user.ts";
import { insertUser, lockUserByEmail, saveUser } from "../users/user-store.ts";
import { recordVerification } from "./record-verification.ts";
import type { PendingRegistration } from "./registration.ts";
import { deleteRegistrations, findRegistration } from "./registration-store.ts";

export function verifyEmail(deps: IdentityDeps): UnaryHandler<typeof AccountService.method.verifyEmail> {
  return (request, context) => {
    const tokenHash = mailTokenHash(request.token);
    const nowMs = deps.clock.nowMs();
    return writeTransaction(deps, context, async (trx, write) => {
      const registration = tokenHash && (await findRegistration(trx, tokenHash, nowMs));
      if (registration === undefined) throw new AppError("TOKEN_INVALID");
      const { emailKey, invitationHash } = registration;
      const invitation = invitationHash && (await lockOrganizationOfInvitation(trx, invitationHash));
      const known = await lockUserByEmail(trx, emailKey);
      // Voids the other registrations and their passwords. Of several verifications at once one deletes rows.
      const voided = await deleteRegistrations(trx, emailKey);
      if (voided === 0 || known?.isEmailVerified === true) throw new AppError("TOKEN_INVALID");
      const user = verifiedUser(deps, registration, known, nowMs);
      await (known === undefined ? insertUser(trx, user) : saveUser(trx, user));
      await createOrganization(deps, trx, write, user, registration.organizationName, nowMs);
      // An invitation of a different address, or an expired invitation, is ignored.
      if (invitation !== undefined) await joinOrganization(trx, write, invitation, user, nowMs);
      await recordVerification(deps, trx, write, { userId: user.id, client: context.client, nowMs });
      return create(VerifyEmailResponseSchema);
    });
  };
}

/** An invited person has a user without a password before the registration. */
function verifiedUser(
  { ids }: IdentityDeps,
  registration: PendingRegistration,
  known: User | undefined,
  nowMs: number,
): User {
  const { email, emailKey, name, passwordHash } = registration;
  return {
    id: known?.id ?? ids.next(nowMs),
    email,
    emailKey,
    isEmailVerified: true,
    name,
    locale: known?.locale,
    passwordHash,
    isPasswordResetRequired: false,
    securityVersion: (known?.securityVersion ?? 0) + 1,
    lastOrganizationId: known?.lastOrganizationId,
    createTimeMs: known?.createTimeMs ?? nowMs,
    updateTimeMs: nowMs,
  };
}

async function createOrganization(
  { ids }: IdentityDeps,
  trx: Transaction,
  write: Write,
  user: User,
  name: string | undefined,
  nowMs: number,
): Promise<void> {
  if (name === undefined) return;
  const id = ids.next<OrganizationId>(nowMs);
  const organization = createdOrganization({ id, name, createTimeMs: nowMs, timeZone: TIME_ZONE_DEFAULT });
  await insertOwnedOrganization(trx, write, organization, user);
}
