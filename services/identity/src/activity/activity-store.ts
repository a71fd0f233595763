// Contains every statement against `user_activities`: sign-ins and changes of accounts, for the user's own list.
import { bytesToUuid, type IdSource, type UserId, uuidToBytes } from "@muster/core";
import { type OrderColumn, pageAfter, type Queryable, type Transaction } from "@muster/db";
import { type Activity, type ActivityKind, CLIENT_BYTES_MAX } from "./activity.ts";

const LIST_ORDER: readonly OrderColumn[] = [
  { column: "create_time_ms", direction: "desc" },
  { column: "id", direction: "desc" },
];

interface Row {
  readonly id: Buffer;
  readonly create_time_ms: number;
  readonly kind: Buffer;
  readonly client: Buffer;
  readonly client_address: Buffer;
}

/** Start of a page: the activity before it. */
export interface ActivityCursor {
  readonly timeMs: number;
  readonly id: string;
}

export async function insertActivity(
  trx: Transaction,
  { ids }: { readonly ids: IdSource },
  activity: {
    readonly userId: UserId;
    readonly kind: ActivityKind;
    readonly timeMs: number;
    /** The client that acted; undefined for workers. */
    readonly client?: { readonly userAgent: string; readonly address: string } | undefined;
  },
): Promise<void> {
  await trx("user_activities").insert({
    user_id: uuidToBytes(activity.userId),
    create_time_ms: activity.timeMs,
    id: uuidToBytes(ids.next(activity.timeMs)),
    kind: Buffer.from(activity.kind),
    client: Buffer.from(activity.client?.userAgent ?? "").subarray(0, CLIENT_BYTES_MAX),
    client_address: Buffer.from(activity.client?.address ?? "").subarray(0, 64),
  });
}

/** The activities of a user, newest first. */
export async function listActivityPage(
  queryable: Queryable,
  userId: UserId,
  after: ActivityCursor | undefined,
  limit: number,
): Promise<Activity[]> {
  const query = queryable("user_activities")
    .select<Row[]>("id", "create_time_ms", "kind", "client", "client_address")
    .where("user_id", uuidToBytes(userId))
    .limit(limit);
  pageAfter(query, LIST_ORDER, after && [after.timeMs, uuidToBytes(after.id)]);
  return (await query).map((row) => ({
    id: bytesToUuid(row.id),
    timeMs: row.create_time_ms,
    kind: row.kind.toString("utf8"),
    client: row.client.toString("utf8"),
    clientAddress: row.client_address.toString("utf8"),
  }));
}

/** Deletes at most `limit` activities from before `beforeMs`; returns how many. */
export async function deleteOldActivities(
  trx: Transaction,
  beforeMs: number,
  limit: number,
): Promise<number> {
  const old = await trx("user_activities")
    .select<Row[]>("user_id", "create_time_ms", "id")
    .where("create_time_ms", "<", beforeMs)
    .orderBy("create_time_ms")
    .limit(limit);
  const newest = old.at(-1);
  if (newest === undefined) return 0;
  const ids = old.map(({ id }) => id);
  return trx("user_activities")
    .whereIn("id", ids)
    .andWhere("create_time_ms", "<=", newest.create_time_ms)
    .delete();
}
