// Contains every statement against `sessions`.
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  type SessionId,
  type UserId,
  uuidToBytes,
} from "@muster/core";
import {
  forUpdate,
  IN_LIST_VALUES_MAX,
  type OrderColumn,
  pageAfter,
  type Queryable,
  type Transaction,
} from "@muster/db";
import type { AuthenticationMethod, Session } from "./session.ts";

const COLUMNS = [
  "id",
  "user_id",
  "organization_id",
  "create_time_ms",
  "last_used_time_ms",
  "authenticated_time_ms",
  "authentication_methods",
  "expire_time_ms",
  "end_time_ms",
  "client",
  "client_address",
] as const;

const LIST_ORDER: readonly OrderColumn[] = [
  { column: "create_time_ms", direction: "desc" },
  { column: "id", direction: "desc" },
];
const CLIENT_BYTES_MAX = 255;
const ADDRESS_BYTES_MAX = 64;

interface Row {
  readonly id: Buffer;
  readonly user_id: Buffer;
  readonly organization_id: Buffer | null;
  readonly create_time_ms: number;
  readonly last_used_time_ms: number;
  readonly authenticated_time_ms: number | null;
  readonly authentication_methods: string;
  readonly expire_time_ms: number;
  readonly end_time_ms: number | null;
  readonly client: Buffer;
  readonly client_address: Buffer;
}

/** Start of a page: the last session of the page before, in the list's order. */
export interface SessionCursor {
  readonly createTimeMs: number;
  readonly id: SessionId;
}

/** Sessions of a user: all, the sessions of an organization, a single session, or all except a single session. */
export interface SessionSelection {
  readonly userId: UserId;
  readonly organizationId?: OrganizationId;
  readonly sessionId?: SessionId;
  readonly exceptSessionId?: SessionId;
}

export async function insertSession(trx: Transaction, session: Session): Promise<void> {
  const { organizationId } = session;
  await trx("sessions").insert({
    id: uuidToBytes(session.id),
    user_id: uuidToBytes(session.userId),
    organization_id: organizationId === undefined ? null : uuidToBytes(organizationId),
    create_time_ms: session.createTimeMs,
    last_used_time_ms: session.lastUsedTimeMs,
    authenticated_time_ms: session.authenticatedTimeMs ?? null,
    authentication_methods: JSON.stringify(session.authenticationMethods),
    expire_time_ms: session.expireTimeMs,
    end_time_ms: session.endTimeMs ?? null,
    client: Buffer.from(session.client).subarray(0, CLIENT_BYTES_MAX),
    client_address: Buffer.from(session.clientAddress).subarray(0, ADDRESS_BYTES_MAX),
  });
}

/** The session, live or not; callers compare its end. */
export async function findSession(queryable: Queryable, id: SessionId): Promise<Session | undefined> {
  const rows = await queryable("sessions").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromRow)[0];
}

/** As findSession; locked until the transaction ends. */
export async function lockSession(trx: Transaction, id: SessionId): Promise<Session | undefined> {
  const query = trx("sessions").select<Row[]>(COLUMNS).where("id", uuidToBytes(id));
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

export async function setSessionUse(
  trx: Transaction,
  { id, lastUsedTimeMs, expireTimeMs }: Session,
): Promise<void> {
  await trx("sessions")
    .where("id", uuidToBytes(id))
    .update({ last_used_time_ms: lastUsedTimeMs, expire_time_ms: expireTimeMs });
}

/** Records that the password or a code was entered now; false when the session has ended. */
export async function setSessionAuthentication(
  trx: Transaction,
  id: SessionId,
  nowMs: number,
): Promise<boolean> {
  const changed = await trx("sessions")
    .where("id", uuidToBytes(id))
    .whereNull("end_time_ms")
    .update({ authenticated_time_ms: nowMs });
  return changed === 1;
}

/** The live sessions of a user, newest first. */
export async function listSessionPage(
  queryable: Queryable,
  userId: UserId,
  nowMs: number,
  after: SessionCursor | undefined,
  limit: number,
): Promise<Session[]> {
  const query = queryable("sessions")
    .select<Row[]>(COLUMNS)
    .where("user_id", uuidToBytes(userId))
    .whereNull("end_time_ms")
    .andWhere("expire_time_ms", ">", nowMs)
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [after.createTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** The sessions of a user in an organization, ended or not, newest first. */
export async function listSessionsOfOrganization(
  queryable: Queryable,
  { userId, organizationId }: Required<Pick<SessionSelection, "userId" | "organizationId">>,
  after: SessionCursor | undefined,
  limit: number,
): Promise<Session[]> {
  const query = queryable("sessions")
    .select<Row[]>(COLUMNS)
    .where("user_id", uuidToBytes(userId))
    .andWhere("organization_id", uuidToBytes(organizationId))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [after.createTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** Ends the sessions that have not ended; returns the ids. */
export async function endSessions(
  trx: Transaction,
  selection: SessionSelection,
  nowMs: number,
): Promise<SessionId[]> {
  const { userId, organizationId, sessionId, exceptSessionId } = selection;
  const query = trx("sessions")
    .select<Row[]>("id")
    .where("user_id", uuidToBytes(userId))
    .whereNull("end_time_ms")
    // Two transactions that end several sessions lock them in the same order.
    .orderBy("id");
  if (organizationId !== undefined) query.andWhere("organization_id", uuidToBytes(organizationId));
  if (sessionId !== undefined) query.andWhere("id", uuidToBytes(sessionId));
  if (exceptSessionId !== undefined) query.andWhere("id", "<>", uuidToBytes(exceptSessionId));
  const ids = (await forUpdate(trx, query)).map(({ id }) => id);
  for (const chunk of chunksOf(ids, IN_LIST_VALUES_MAX)) {
    await trx("sessions").whereIn("id", chunk).update({ end_time_ms: nowMs });
  }
  return ids.map((id) => bytesToUuid<SessionId>(id));
}

/** Deletes at most `limit` sessions that expired before `beforeMs`; returns the ids. */
export async function deleteExpiredSessions(
  trx: Transaction,
  beforeMs: number,
  limit: number,
): Promise<SessionId[]> {
  const expired = await trx("sessions")
    .select<Row[]>("id")
    .where("expire_time_ms", "<", beforeMs)
    .orderBy("expire_time_ms")
    .limit(limit);
  const ids = expired.map(({ id }) => id).sort(Buffer.compare);
  if (ids.length > 0)
    await trx("sessions").whereIn("id", ids).andWhere("expire_time_ms", "<", beforeMs).delete();
  return ids.map((id) => bytesToUuid<SessionId>(id));
}

function fromRow(row: Row): Session {
  return {
    id: bytesToUuid(row.id),
    userId: bytesToUuid(row.user_id),
    organizationId: row.organization_id === null ? undefined : bytesToUuid(row.organization_id),
    createTimeMs: row.create_time_ms,
    lastUsedTimeMs: row.last_used_time_ms,
    authenticatedTimeMs: row.authenticated_time_ms ?? undefined,
    authenticationMethods: JSON.parse(row.authentication_methods) as AuthenticationMethod[],
    expireTimeMs: row.expire_time_ms,
    endTimeMs: row.end_time_ms ?? undefined,
    client: row.client.toString("utf8"),
    clientAddress: row.client_address.toString("utf8"),
  };
}
