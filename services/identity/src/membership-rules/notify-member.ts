// Mails a person about a change of a membership.
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import type { MailKind } from "../mail/texts/mail-kind.ts";
import type { Membership } from "../memberships/membership.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { findUser } from "../users/user-store.ts";

export type MembershipMail = Extract<MailKind, `membership_${string}`>;

/** An invited person has no account to protect: only the invitation is mailed. */
export async function notifyMember(
  { mailer }: Pick<IdentityDeps, "mailer">,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  { organizationId, userId, status }: Pick<Membership, "organizationId" | "userId" | "status">,
  { kind, nowMs }: { readonly kind: MembershipMail; readonly nowMs: number },
): Promise<void> {
  if (status === "invited") return;
  const user = await findUser(trx, userId);
  const organization = await findOrganization(trx, organizationId);
  if (user === undefined || organization === undefined) return;
  await mailer.queue(trx, {
    kind,
    to: user.email,
    locale: user.locale,
    values: { name: user.name, organization: organization.name, time: new Date(nowMs).toISOString() },
  });
  write.afterCommit(() => mailer.wake());
}
