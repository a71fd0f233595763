// Contains every statement against `deletion_requests`.
import { bytesToUuid, type OrganizationId, type UserId, uuidToBytes } from "@muster/core";
import { forUpdate, type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
import type { Requester } from "../operations/operation.ts";
import type { DeletionCounts, DeletionRequest, DeletionState } from "./deletion-request.ts";

const TABLE = "deletion_requests";
const COLUMNS = [
  "id",
  "organization_id",
  "user_id",
  "state",
  "requester_kind",
  "requester_id",
  "requester_user_id",
  "decider_id",
  "create_time_ms",
  "decide_time_ms",
  "complete_time_ms",
  "counts",
] as const;
/** In the order of their numbers in the table. */
const STATES: readonly DeletionState[] = ["pending", "approved", "rejected"];
const LIST_ORDER: readonly OrderColumn[] = [
  { column: "create_time_ms", direction: "asc" },
  { column: "id", direction: "asc" },
];

interface Row {
  readonly id: Buffer;
  readonly organization_id: Buffer;
  readonly user_id: Buffer;
  readonly state: number;
  readonly requester_kind: Buffer;
  readonly requester_id: Buffer;
  readonly requester_user_id: Buffer | null;
  readonly decider_id: Buffer | null;
  readonly create_time_ms: number;
  readonly decide_time_ms: number | null;
  readonly complete_time_ms: number | null;
  readonly counts: Buffer | null;
}

/** Start of a page: the request before it, in the order of the list. */
export interface DeletionRequestCursor {
  readonly createTimeMs: number;
  readonly id: string;
}

export async function insertDeletionRequest(trx: Transaction, request: DeletionRequest): Promise<void> {
  await trx(TABLE).insert({
    id: uuidToBytes(request.id),
    organization_id: uuidToBytes(request.organizationId),
    user_id: uuidToBytes(request.userId),
    create_time_ms: request.createTimeMs,
    state: STATES.indexOf(request.state),
    ...requesterColumns(request),
  });
}

/** Locked until the transaction ends. */
export async function lockDeletionRequest(
  trx: Transaction,
  organizationId: OrganizationId,
  id: string,
): Promise<DeletionRequest | undefined> {
  const query = trx(TABLE)
    .select<Row[]>(COLUMNS)
    .where({ id: uuidToBytes(id), organization_id: uuidToBytes(organizationId) });
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

/** The pending request about a person. Locked until the transaction ends. */
export async function lockPendingRequest(
  trx: Transaction,
  organizationId: OrganizationId,
  userId: UserId,
): Promise<DeletionRequest | undefined> {
  const query = trx(TABLE)
    .select<Row[]>(COLUMNS)
    .where({
      organization_id: uuidToBytes(organizationId),
      user_id: uuidToBytes(userId),
      state: STATES.indexOf("pending"),
    });
  return (await forUpdate(trx, query)).map(fromRow)[0];
}

/** Saves the requester and the decision of a locked request. */
export async function saveDeletionRequest(trx: Transaction, request: DeletionRequest): Promise<void> {
  await trx(TABLE)
    .where("id", uuidToBytes(request.id))
    .update({
      state: STATES.indexOf(request.state),
      ...requesterColumns(request),
      decider_id: request.deciderId === undefined ? null : Buffer.from(request.deciderId),
      decide_time_ms: request.decideTimeMs ?? null,
    });
}

/** Saves what an erasure that was given up has erased. */
export async function saveDeletionCounts(
  trx: Transaction,
  id: string,
  counts: DeletionCounts,
): Promise<void> {
  await trx(TABLE)
    .where("id", uuidToBytes(id))
    .update({ counts: Buffer.from(JSON.stringify(counts)) });
}

/** Completes the receipt. */
export async function completeDeletionRequest(
  trx: Transaction,
  id: string,
  { nowMs, counts }: { readonly nowMs: number; readonly counts: DeletionCounts },
): Promise<void> {
  await trx(TABLE)
    .where("id", uuidToBytes(id))
    .update({ complete_time_ms: nowMs, counts: Buffer.from(JSON.stringify(counts)) });
}

/** The requests of an organization, by (create time, id). */
export async function listDeletionRequestPage(
  queryable: Queryable,
  organizationId: OrganizationId,
  after: DeletionRequestCursor | undefined,
  limit: number,
): Promise<DeletionRequest[]> {
  const query = queryable(TABLE)
    .select<Row[]>(COLUMNS)
    .where("organization_id", uuidToBytes(organizationId))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [after.createTimeMs, uuidToBytes(after.id)]);
  return (await query).map(fromRow);
}

/** A person in one organization. */
interface Person {
  readonly organizationId: OrganizationId;
  readonly userId: UserId;
}

/** The requests about a person, by id. */
export function listDeletionRequestsAbout(
  queryable: Queryable,
  { organizationId, userId }: Person,
  afterId: string | undefined,
  limit: number,
): Promise<DeletionRequest[]> {
  const about = { organization_id: uuidToBytes(organizationId), user_id: uuidToBytes(userId) };
  return listById(queryable, about, afterId, limit);
}

/** The requests that a person, or a key of the person, has made, by id. */
export function listDeletionRequestsBy(
  queryable: Queryable,
  { organizationId, userId }: Person,
  afterId: string | undefined,
  limit: number,
): Promise<DeletionRequest[]> {
  const made = { organization_id: uuidToBytes(organizationId), requester_user_id: uuidToBytes(userId) };
  return listById(queryable, made, afterId, limit);
}

async function listById(
  queryable: Queryable,
  columns: Readonly<Record<string, Uint8Array>>,
  afterId: string | undefined,
  limit: number,
): Promise<DeletionRequest[]> {
  const query = queryable(TABLE).select<Row[]>(COLUMNS).where(columns).limit(limit);
  pageAfter(
    query,
    [{ column: "id", direction: "asc" }],
    afterId === undefined ? undefined : [uuidToBytes(afterId)],
  );
  return (await query).map(fromRow);
}

function requesterColumns({ requester, requesterUserId }: DeletionRequest) {
  return {
    requester_kind: Buffer.from(requester.kind),
    requester_id: Buffer.from(requester.id),
    requester_user_id: requesterUserId === undefined ? null : uuidToBytes(requesterUserId),
  };
}

function fromRow(row: Row): DeletionRequest {
  return {
    id: bytesToUuid(row.id),
    organizationId: bytesToUuid(row.organization_id),
    userId: bytesToUuid(row.user_id),
    state: STATES[row.state] ?? "rejected",
    requester: {
      kind: row.requester_kind.toString("utf8") as Requester["kind"],
      id: row.requester_id.toString("utf8"),
    },
    requesterUserId: row.requester_user_id === null ? undefined : bytesToUuid(row.requester_user_id),
    deciderId: row.decider_id?.toString("utf8"),
    createTimeMs: row.create_time_ms,
    decideTimeMs: row.decide_time_ms ?? undefined,
    completeTimeMs: row.complete_time_ms ?? undefined,
    counts: row.counts === null ? undefined : (JSON.parse(row.counts.toString("utf8")) as DeletionCounts),
  };
}
