// Keeps the keys and the search words of members in step with memberships and users. Runs in the transaction of the
// change, after the change.
import { bytesToUuid, type OrganizationId, type UserId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { textKey, wordsOf } from "@muster/list-queries";
import {
  deleteSearchWords,
  findIndexedMember,
  type IndexedMember,
  listOrganizationsOfMember,
  replaceSearchWords,
  saveMemberKeys,
} from "./member-search-store.ts";

/** Organizations of a person whose rows are read at once. */
const PAGE = 100;

/** Indexes the member as the membership and the user are now. Without a membership the words go. */
export async function indexMember(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<void> {
  const member = await findIndexedMember(trx, organizationId, userId);
  if (member === undefined) await deleteSearchWords(trx, organizationId, userId);
  else await saveIndex(trx, organizationId, userId, member);
}

/** Indexes the person in every organization, after a change of the address or its verification. */
export async function indexPerson(trx: Transaction, userId: UserId): Promise<void> {
  let after: Buffer | undefined;
  for (;;) {
    const organizations = await listOrganizationsOfMember(trx, userId, after, PAGE);
    for (const organization of organizations) await indexMember(trx, bytesToUuid(organization), userId);
    after = organizations.at(-1);
    if (organizations.length < PAGE) return;
  }
}

async function saveIndex(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
  member: IndexedMember,
): Promise<void> {
  const { name, email, isVerified, keys: stored } = member;
  const keys = { nameKey: textKey(name), emailKey: textKey(email), isVerified };
  const isSameText = stored?.nameKey === keys.nameKey && stored.emailKey === keys.emailKey;
  if (isSameText && stored.isVerified === isVerified) return;
  await saveMemberKeys(trx, organizationId, userId, keys);
  // The words follow from the keys.
  if (!isSameText) await replaceSearchWords(trx, organizationId, userId, wordsOf(`${name} ${email}`));
}
