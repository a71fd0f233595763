// Queues the mail of an invitation with the link that accepts it.
import type { Transaction } from "@muster/db";
import type { IdentityDeps } from "../deps.ts";
import type { Invitation } from "../invitations/invitation.ts";
import type { MailToken } from "../one-time-tokens/mail-token.ts";
import { findUserByEmail } from "../users/user-store.ts";

interface InvitationMail {
  readonly invitation: Pick<Invitation, "email" | "emailKey">;
  readonly token: MailToken;
  /** As the inviter gave it, or "". */
  readonly name: string;
  readonly organizationName: string;
}

/** False when the address has received too many invitations; no response may show the difference. */
export async function queueInvitationMail(
  { mailer }: Pick<IdentityDeps, "mailer">,
  trx: Transaction,
  { invitation: { email, emailKey }, token, name, organizationName }: InvitationMail,
): Promise<boolean> {
  const user = await findUserByEmail(trx, emailKey);
  return mailer.queue(trx, {
    kind: "invitation",
    to: email,
    locale: user?.locale,
    values: { name, token: token.text, organization: organizationName },
  });
}
