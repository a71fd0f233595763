// Stores rows of every kind that an export of a person contains, each with distinctive strings.
import { randomBytes } from "node:crypto";
import { type ApiKeyId, type OrganizationId, randomIds, type UserId } from "@muster/core";
import { insertApiKey } from "../../src/api-keys/api-key-store.ts";
import { insertDeletionRequest } from "../../src/deletion-request-storage/deletion-request-store.ts";
import { insertInvitation } from "../../src/invitations/invitation-store.ts";
import { insertLogins } from "../../src/login-counts/login-event-store.ts";
import { addLogins } from "../../src/login-counts/login-totals-store.ts";
import { dayOf } from "../../src/login-counts/login-window.ts";
import type { PrivacyUnderTest } from "./privacy-under-test.ts";

export interface PersonalRows {
  /** Strings that the export of the person contains. */
  readonly shown: readonly string[];
  /** Strings of other people, and secrets, that no export contains. */
  readonly hidden: readonly string[];
}

interface Subject {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

/** `mark` is a part of every text. */
export async function addPersonalRows(
  identity: PrivacyUnderTest,
  subject: Subject,
  mark: string,
): Promise<PersonalRows> {
  await identity.addSessions(subject.userId, subject.organizationId, [`Browser of ${mark}`]);
  const parts = [
    { shown: [`Browser of ${mark}`], hidden: [] },
    await addLoginRows(identity, subject),
    await addInvitations(identity, subject, mark),
    await addKeys(identity, subject, mark),
    await addDeletionRequests(identity, subject),
  ];
  return {
    shown: parts.flatMap(({ shown }) => shown),
    hidden: parts.flatMap(({ hidden }) => hidden),
  };
}

async function addLoginRows({ database, clock }: PrivacyUnderTest, subject: Subject): Promise<PersonalRows> {
  const timeMs = clock.nowMs();
  const loginIds = Array.from({ length: 3 }, () => randomIds.next(timeMs));
  const login = { ...subject, day: dayOf(timeMs), shard: 0, position: 1, timeMs };
  await database.transaction(async (trx) => {
    await insertLogins(
      trx,
      loginIds.map((loginId) => ({ ...login, loginId })),
    );
    await addLogins(trx, [{ ...subject, windowDays: 7, shard: 0, logins: 3, position: 1 }]);
  });
  return { shown: loginIds, hidden: [] };
}

async function addInvitations(
  { database, clock }: PrivacyUnderTest,
  { organizationId, userId }: Subject,
  mark: string,
): Promise<PersonalRows> {
  const createTimeMs = clock.nowMs();
  const otherId = randomIds.next<UserId>(createTimeMs);
  const invitation = (invitedId: UserId, inviterId: UserId, email: string) => ({
    id: randomIds.next(createTimeMs),
    organizationId,
    userId: invitedId,
    email,
    emailKey: email.toLowerCase(),
    inviter: { kind: "user" as const, id: inviterId },
    tokenHash: randomBytes(32),
    createTimeMs,
    expireTimeMs: createTimeMs + 1_000,
  });
  const received = invitation(userId, otherId, `${mark}.received@example.com`);
  const sent = invitation(otherId, userId, `${mark}.sent@example.com`);
  await database.transaction(async (trx) => {
    await insertInvitation(trx, received);
    await insertInvitation(trx, sent);
  });
  return {
    shown: [received.id, received.email, sent.id],
    hidden: [otherId, sent.email, sent.emailKey, ...secretsOf(received.tokenHash, sent.tokenHash)],
  };
}

async function addKeys(
  { database, clock }: PrivacyUnderTest,
  { organizationId, userId }: Subject,
  mark: string,
): Promise<PersonalRows> {
  const createTimeMs = clock.nowMs();
  const key = (name: string, createdBy: UserId | undefined, expireTimeMs?: number) => ({
    id: randomIds.next<ApiKeyId>(createTimeMs),
    organizationId,
    name: `${mark} ${name}`,
    prefix: `mk_live_${randomBytes(4).toString("hex")}`,
    hash: randomBytes(32),
    scopes: ["events.read"],
    createTimeMs,
    expireTimeMs,
    isRotated: false,
    grantUpTo: undefined,
    createdBy,
    lastUsedTimeMs: undefined,
  });
  const made = [key("key", userId), key("ended key", userId, createTimeMs - 1)];
  const others = [key("foreign key", randomIds.next<UserId>(0)), key("operator key", undefined)];
  await database.transaction(async (trx) => {
    for (const one of [...made, ...others]) await insertApiKey(trx, one);
  });
  return {
    shown: made.flatMap(({ id, name, prefix }) => [id, name, prefix]),
    hidden: [
      ...others.flatMap(({ id, name, prefix }) => [id, name, prefix]),
      ...secretsOf(...made.map(({ hash }) => hash)),
    ],
  };
}

async function addDeletionRequests(
  { database, clock }: PrivacyUnderTest,
  { organizationId, userId }: Subject,
): Promise<PersonalRows> {
  const createTimeMs = clock.nowMs();
  const otherId = randomIds.next<UserId>(createTimeMs);
  const deciderId = randomIds.next<UserId>(createTimeMs);
  const request = (personId: UserId, requesterId: UserId) => ({
    id: randomIds.next(createTimeMs),
    organizationId,
    userId: personId,
    state: "rejected" as const,
    requester: { kind: "user" as const, id: requesterId },
    requesterUserId: requesterId,
    deciderId,
    createTimeMs,
    decideTimeMs: createTimeMs,
    completeTimeMs: undefined,
    counts: undefined,
  });
  const requests = [request(userId, otherId), request(otherId, userId), request(userId, userId)];
  await database.transaction(async (trx) => {
    for (const one of requests) await insertDeletionRequest(trx, one);
  });
  return { shown: requests.map(({ id }) => id), hidden: [otherId, deciderId] };
}

function secretsOf(...hashes: readonly Buffer[]): string[] {
  return hashes.flatMap((hash) => [
    hash.toString("hex"),
    hash.toString("base64"),
    hash.toString("base64url"),
  ]);
}
