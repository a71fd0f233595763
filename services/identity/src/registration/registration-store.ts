// Contains every statement against `pending_registrations`.
import { bytesToUuid, uuidToBytes } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import { PENDING_MAILS_MAX, type PendingRegistration } from "./registration.ts";

const COLUMNS = [
  "registration_id",
  "email",
  "email_key",
  "name",
  "password_hash",
  "organization_name",
  "invitation_hash",
  "create_time_ms",
  "expire_time_ms",
] as const;

interface Row {
  readonly registration_id: Buffer;
  readonly email: Buffer;
  readonly email_key: Buffer;
  readonly name: Buffer;
  readonly password_hash: Buffer | null;
  readonly organization_name: Buffer | null;
  readonly invitation_hash: Buffer | null;
  readonly create_time_ms: number;
  readonly expire_time_ms: number;
}

export async function insertRegistration(
  trx: Transaction,
  tokenHash: Buffer,
  registration: PendingRegistration,
): Promise<void> {
  const { passwordHash, organizationName } = registration;
  await trx("pending_registrations").insert({
    token_hash: tokenHash,
    registration_id: uuidToBytes(registration.registrationId),
    email: Buffer.from(registration.email),
    email_key: Buffer.from(registration.emailKey),
    name: Buffer.from(registration.name),
    password_hash: passwordHash === undefined ? null : Buffer.from(passwordHash),
    organization_name: organizationName === undefined ? null : Buffer.from(organizationName),
    invitation_hash: registration.invitationHash ?? null,
    create_time_ms: registration.createTimeMs,
    expire_time_ms: registration.expireTimeMs,
  });
}

/** The pending registrations of an address, one for each mail, oldest first. */
export async function listRegistrations(
  queryable: Queryable,
  emailKey: string,
  nowMs: number,
): Promise<PendingRegistration[]> {
  const rows = await queryable("pending_registrations")
    .select<Row[]>(COLUMNS)
    .where("email_key", Buffer.from(emailKey))
    .andWhere("expire_time_ms", ">", nowMs)
    .orderBy("create_time_ms")
    .limit(PENDING_MAILS_MAX);
  return rows.map(fromRow);
}

export async function findRegistration(
  queryable: Queryable,
  tokenHash: Buffer,
  nowMs: number,
): Promise<PendingRegistration | undefined> {
  const rows = await queryable("pending_registrations")
    .select<Row[]>(COLUMNS)
    .where("token_hash", tokenHash)
    .andWhere("expire_time_ms", ">", nowMs);
  return rows.map(fromRow)[0];
}

/** The newest registration of an address that has a password: a login names the missing verification. */
export async function findNewestRegistration(
  queryable: Queryable,
  emailKey: string,
  nowMs: number,
): Promise<PendingRegistration | undefined> {
  const rows = await queryable("pending_registrations")
    .select<Row[]>(COLUMNS)
    .where("email_key", Buffer.from(emailKey))
    .andWhere("expire_time_ms", ">", nowMs)
    .whereNotNull("password_hash")
    .orderBy("create_time_ms", "desc")
    .limit(1);
  return rows.map(fromRow)[0];
}

/** Voids all registrations of an address; returns how many mails they had. */
export async function deleteRegistrations(trx: Transaction, emailKey: string): Promise<number> {
  return trx("pending_registrations").where("email_key", Buffer.from(emailKey)).delete();
}

/** Deletes at most `limit` expired registrations; returns how many. */
export async function deleteExpiredRegistrations(
  trx: Transaction,
  nowMs: number,
  limit: number,
): Promise<number> {
  const expired = await trx("pending_registrations")
    .select<{ token_hash: Buffer }[]>("token_hash")
    .where("expire_time_ms", "<=", nowMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  if (expired.length === 0) return 0;
  const hashes = expired.map(({ token_hash }) => token_hash).sort(Buffer.compare);
  return trx("pending_registrations").whereIn("token_hash", hashes).delete();
}

function fromRow(row: Row): PendingRegistration {
  return {
    registrationId: bytesToUuid(row.registration_id),
    email: row.email.toString("utf8"),
    emailKey: row.email_key.toString("utf8"),
    name: row.name.toString("utf8"),
    passwordHash: row.password_hash?.toString("utf8"),
    organizationName: row.organization_name?.toString("utf8"),
    invitationHash: row.invitation_hash ?? undefined,
    createTimeMs: row.create_time_ms,
    expireTimeMs: row.expire_time_ms,
  };
}
