// Stores the owner of a provisioned organization: an invitation for a person with an account, else a member who sets a
// password by mail.
import { canonicalEmail, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { Write } from "@muster/outbox";
import type { IdentityDeps } from "../deps.ts";
import { storeInvitation } from "../invitation-calls/store-invitation.ts";
import { insertMembership } from "../memberships/membership-store.ts";
import { queueSetupMail } from "../passwords/reset-mail.ts";
import { isPlaceholder, newPlaceholder, type User } from "../users/user.ts";
import { userJoined } from "../users/user-events.ts";
import { insertUserIfAbsent, lockUserByEmail, saveUser } from "../users/user-store.ts";
import type { ProvisionedOwner, Provisioning } from "./provisioning.ts";
import { ownerMembership } from "./provisioning-proto.ts";

/** The transaction has stored the organization. */
export async function insertOwner(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  provisioning: Provisioning,
): Promise<ProvisionedOwner> {
  const { content, createTimeMs } = provisioning;
  const emailKey = canonicalEmail(content.ownerEmail);
  const id = deps.ids.next<UserId>(createTimeMs);
  await insertUserIfAbsent(trx, newPlaceholder(id, content.ownerEmail, emailKey, createTimeMs));
  const user = (await lockUserByEmail(trx, emailKey)) as User;
  const owner = { id: user.id, isInvited: !isPlaceholder(user) };
  if (owner.isInvited) await inviteOwner(deps, trx, write, provisioning, owner);
  else await join(deps, trx, write, provisioning, user);
  return owner;
}

/** The membership and the invitation begin at the create time of the provisioning. */
export async function inviteOwner(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  provisioning: Provisioning,
  owner: ProvisionedOwner,
): Promise<void> {
  const { content, createTimeMs, partnerId } = provisioning;
  await storeInvitation(deps, trx, write, {
    membership: ownerMembership(provisioning, owner),
    email: content.ownerEmail,
    emailKey: canonicalEmail(content.ownerEmail),
    inviter: { kind: "partner", id: partnerId },
    organizationName: content.organizationName,
    nowMs: createTimeMs,
  });
  write.afterCommit(() => deps.mailer.wake());
}

async function join(
  deps: IdentityDeps,
  trx: Transaction,
  write: Write,
  provisioning: Provisioning,
  person: User,
): Promise<void> {
  const { organizationId, content, createTimeMs } = provisioning;
  const user = person.name === "" ? { ...person, name: content.ownerName } : person;
  if (user !== person) await saveUser(trx, user);
  await insertMembership(trx, ownerMembership(provisioning, { id: user.id, isInvited: false }));
  await queueSetupMail(deps, trx, user, content.organizationName, createTimeMs);
  write.publish(userJoined({ organizationId, userId: user.id }, "owner", createTimeMs));
  write.afterCommit(() => deps.mailer.wake());
}
