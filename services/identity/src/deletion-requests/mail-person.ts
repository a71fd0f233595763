// Mails a person about a request to erase the person's data.
import type { OrganizationId, UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import type { MailKind } from "../mail/texts/mail-kind.ts";
import { findOrganization } from "../organizations/organization-store.ts";
import { isPlaceholder } from "../users/user.ts";
import { findUser } from "../users/user-store.ts";

/** An invited person without an account receives no mail. */
export async function mailPerson(
  { mailer }: Pick<IdentityDeps, "mailer">,
  trx: Transaction,
  write: Pick<Write, "afterCommit">,
  { organizationId, userId }: { readonly organizationId: OrganizationId; readonly userId: UserId },
  { kind, nowMs }: { readonly kind: Extract<MailKind, `erasure_${string}`>; readonly nowMs: number },
): Promise<void> {
  const user = await findUser(trx, userId);
  const organization = await findOrganization(trx, organizationId);
  if (user === undefined || organization === undefined || isPlaceholder(user)) return;
  const { email, locale, name } = user;
  const values = { name, organization: organization.name, time: new Date(nowMs).toISOString() };
  await mailer.queue(trx, { kind, to: email, locale, values });
  write.afterCommit(() => mailer.wake());
}
