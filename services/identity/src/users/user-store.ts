// Contains every statement against `users`.
import { bytesToUuid, chunksOf, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, IN_LIST_VALUES_MAX, insertRows, type Queryable, type Transaction } from "@muster/db";
import { indexPerson } from "../member-search/index-member.ts";
import type { User } from "./user.ts";

const COLUMNS = [
  "id",
  "email",
  "email_key",
  "email_verified",
  "name",
  "locale",
  "password_hash",
  "password_reset_required",
  "security_version",
  "last_organization_id",
  "create_time_ms",
  "update_time_ms",
] as const;

interface Row {
  readonly id: Buffer;
  readonly email: Buffer;
  readonly email_key: Buffer;
  readonly email_verified: number;
  readonly name: Buffer;
  readonly locale: Buffer | null;
  readonly password_hash: Buffer | null;
  readonly password_reset_required: number;
  readonly security_version: number;
  readonly last_organization_id: Buffer | null;
  readonly create_time_ms: number;
  readonly update_time_ms: number;
}

/** Rejects with a unique violation of `users_email_uq` when another user has the address. */
export async function insertUser(trx: Transaction, user: User): Promise<void> {
  await trx("users").insert({
    id: uuidToBytes(user.id),
    create_time_ms: user.createTimeMs,
    ...changeableColumns(user),
  });
}

/** Does nothing when a user has the address. The statements are the same for every address. */
export async function insertUserIfAbsent(trx: Transaction, user: User): Promise<void> {
  const columns = {
    id: uuidToBytes(user.id),
    create_time_ms: user.createTimeMs,
    ...changeableColumns(user),
  };
  await insertRows(trx, "users", Object.keys(columns), [Object.values(columns)], "keep", ["email_key"]);
}

export async function deleteUser(trx: Transaction, id: UserId): Promise<void> {
  await trx("users").where("id", uuidToBytes(id)).delete();
}

/**
 * Saves every changeable field of a locked user, and indexes the person where the address or its verification is new.
 * Rejects like {@link insertUser}.
 */
export async function saveUser(trx: Transaction, user: User): Promise<void> {
  await trx("users").where("id", uuidToBytes(user.id)).update(changeableColumns(user));
  await indexPerson(trx, user.id);
}

export async function findUser(queryable: Queryable, id: UserId): Promise<User | undefined> {
  const rows = await queryable("users").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromRow)[0];
}

/** The users with these ids, in no order. */
export async function findUsers(queryable: Queryable, ids: readonly UserId[]): Promise<User[]> {
  const found: User[] = [];
  for (const chunk of chunksOf(ids, IN_LIST_VALUES_MAX)) {
    const query = queryable("users").select<Row[]>(COLUMNS).whereIn("id", chunk.map(uuidToBytes));
    found.push(...(await query).map(fromRow));
  }
  return found;
}

/** The user with this canonical address, verified or not. */
export async function findUserByEmail(queryable: Queryable, emailKey: string): Promise<User | undefined> {
  const rows = await queryable("users").select<Row[]>(COLUMNS).where("email_key", Buffer.from(emailKey));
  return rows.map(fromRow)[0];
}

/** Locked until the transaction ends. */
export async function lockUser(trx: Transaction, id: UserId): Promise<User | undefined> {
  const query = trx("users").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

/** Locked until the transaction ends. */
export async function lockUserByEmail(trx: Transaction, emailKey: string): Promise<User | undefined> {
  const query = trx("users").select<Row[]>(COLUMNS).where("email_key", Buffer.from(emailKey));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

function changeableColumns(user: User) {
  return {
    email: Buffer.from(user.email),
    email_key: Buffer.from(user.emailKey),
    email_verified: user.isEmailVerified ? 1 : 0,
    name: Buffer.from(user.name),
    locale: user.locale === undefined ? null : Buffer.from(user.locale),
    password_hash: user.passwordHash === undefined ? null : Buffer.from(user.passwordHash),
    password_reset_required: user.isPasswordResetRequired ? 1 : 0,
    security_version: user.securityVersion,
    last_organization_id: user.lastOrganizationId === undefined ? null : uuidToBytes(user.lastOrganizationId),
    update_time_ms: user.updateTimeMs,
  };
}

function fromRow(row: Row): User {
  return {
    id: bytesToUuid(row.id),
    email: row.email.toString("utf8"),
    emailKey: row.email_key.toString("utf8"),
    isEmailVerified: row.email_verified !== 0,
    name: row.name.toString("utf8"),
    locale: row.locale?.toString("utf8"),
    passwordHash: row.password_hash?.toString("utf8"),
    isPasswordResetRequired: row.password_reset_required !== 0,
    securityVersion: Number(row.security_version),
    lastOrganizationId: row.last_organization_id === null ? undefined : bytesToUuid(row.last_organization_id),
    createTimeMs: row.create_time_ms,
    updateTimeMs: row.update_time_ms,
  };
}

/** Records the organization of a login or a switch. */
export async function setLastOrganization(
  trx: Transaction,
  id: UserId,
  organizationId: OrganizationId,
): Promise<void> {
  await trx("users")
    .where("id", uuidToBytes(id))
    .update({ last_organization_id: uuidToBytes(organizationId) });
}

/** Stores the same password under a new hash: links and sessions stay. */
export async function setPasswordHash(trx: Transaction, id: UserId, passwordHash: string): Promise<void> {
  await trx("users")
    .where("id", uuidToBytes(id))
    .update({ password_hash: Buffer.from(passwordHash) });
}

export async function deleteUserRow(trx: Transaction, id: UserId): Promise<void> {
  await trx("users").where("id", uuidToBytes(id)).delete();
}
