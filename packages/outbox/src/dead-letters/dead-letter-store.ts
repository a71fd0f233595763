// Holds every statement against dead_letters.
import { bytesToUuid, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, pageAfter, type Queryable, type Transaction } from "@muster/db";
import type { ConsumerKey } from "../owned-shards/cursor-store.ts";

export interface DeadLetter {
  readonly id: string;
  readonly consumer: string;
  readonly source: string;
  readonly shard: number;
  /** 0 if the message could not be decoded. */
  readonly position: number;
  readonly type: string;
  /** The envelope, encoded. */
  readonly raw: Uint8Array;
  readonly error: string;
  readonly attempts: number;
  readonly deadMs: number;
  readonly replayRequestedMs: number | undefined;
  readonly replayedMs: number | undefined;
}

interface StoredDeadLetter {
  id: Buffer;
  consumer: Buffer;
  source: Buffer;
  shard: number;
  position: number;
  type: Buffer;
  raw: Buffer;
  error: string;
  attempts: number;
  dead_ms: number;
  replay_requested_ms: number | null;
  replayed_ms: number | null;
}

const COLUMNS = [
  "id",
  "consumer",
  "source",
  "shard",
  "position",
  "type",
  "raw",
  "error",
  "attempts",
  "dead_ms",
  "replay_requested_ms",
  "replayed_ms",
] as const;
const ERROR_CHARS_MAX = 500;

export async function insertDeadLetter(trx: Transaction, deadLetter: DeadLetter): Promise<void> {
  await insertRows(
    trx,
    "dead_letters",
    COLUMNS,
    [
      [
        uuidToBytes(deadLetter.id),
        Buffer.from(deadLetter.consumer, "utf8"),
        Buffer.from(deadLetter.source, "utf8"),
        deadLetter.shard,
        deadLetter.position,
        Buffer.from(deadLetter.type, "utf8").subarray(0, 128),
        Buffer.from(deadLetter.raw),
        deadLetter.error.slice(0, ERROR_CHARS_MAX),
        deadLetter.attempts,
        deadLetter.deadMs,
        null,
        null,
      ],
    ],
    "keep",
    ["id"],
  );
}

export async function findDeadLetter(db: Queryable, id: string): Promise<DeadLetter | undefined> {
  const rows: StoredDeadLetter[] = await db("dead_letters").select(COLUMNS).where("id", uuidToBytes(id));
  return rows.map(fromStored)[0];
}

/** Newest first. */
export async function listDeadLetters(
  db: Queryable,
  page: {
    readonly limit: number;
    readonly after?: { readonly deadMs: number; readonly id: string } | undefined;
    readonly openOnly?: boolean;
  },
): Promise<DeadLetter[]> {
  const query = db("dead_letters").select<StoredDeadLetter[]>(COLUMNS).limit(page.limit);
  if (page.openOnly === true) query.whereNull("replayed_ms");
  const last = page.after === undefined ? undefined : [page.after.deadMs, uuidToBytes(page.after.id)];
  const order = [
    { column: "dead_ms", direction: "desc" },
    { column: "id", direction: "desc" },
  ] as const;
  return (await pageAfter(query, order, last)).map(fromStored);
}

/**
 * Requests a replay from the shard's owner, in any process. Returns false if no such dead letter can be
 * replayed.
 */
export async function requestReplay(trx: Transaction, id: string, nowMs: number): Promise<boolean> {
  await trx("dead_letters")
    .where("id", uuidToBytes(id))
    .whereNull("replayed_ms")
    .whereNull("replay_requested_ms")
    .update({ replay_requested_ms: nowMs });
  const rows = await trx("dead_letters")
    .select("id")
    .where("id", uuidToBytes(id))
    .whereNotNull("replay_requested_ms");
  return rows.length > 0;
}

/** Oldest request first. */
export async function findRequestedReplays(
  db: Queryable,
  key: ConsumerKey,
  limit: number,
): Promise<{ id: string; shard: number }[]> {
  const rows: { id: Buffer; shard: number }[] = await db("dead_letters")
    .select("id", "shard")
    .where("replay_requested_ms", ">", 0)
    .andWhere({ consumer: Buffer.from(key.consumer, "utf8"), source: Buffer.from(key.source, "utf8") })
    .orderBy("replay_requested_ms")
    .limit(limit);
  return rows.map((row) => ({ id: bytesToUuid(row.id), shard: row.shard }));
}

/** Ends a replay: with success at `replayedMs`, or with the error. */
export async function endReplay(
  trx: Transaction,
  id: string,
  outcome: { readonly replayedMs: number } | { readonly error: string },
): Promise<void> {
  const change =
    "error" in outcome
      ? { error: outcome.error.slice(0, ERROR_CHARS_MAX), attempts: trx.raw("attempts + 1") }
      : { replayed_ms: outcome.replayedMs };
  await trx("dead_letters")
    .where("id", uuidToBytes(id))
    .update({ replay_requested_ms: null, ...change });
}

/**
 * Returns the last id of the next page of dead letters, and the ids of the page that contain one of the byte
 * strings.
 */
export async function pageOfDeadLetters(
  db: Queryable,
  after: string | undefined,
  profileIdBytes: readonly Buffer[],
  limit: number,
): Promise<{ readonly containing: string[]; readonly last: string | undefined }> {
  const query = db("dead_letters").select<{ id: Buffer }[]>("id").orderBy("id").limit(limit);
  if (after !== undefined) query.where("id", ">", uuidToBytes(after));
  const ids = (await query).map((row) => row.id);
  if (ids.length === 0) return { containing: [], last: undefined };
  const rows: { id: Buffer }[] = await db("dead_letters")
    .select("id")
    .whereIn("id", ids)
    .andWhere((any) => {
      for (const idBytes of profileIdBytes) any.orWhereRaw("instr(raw, ?) > 0", [idBytes]);
    })
    .orderBy("id");
  const last = ids.at(-1);
  return { containing: rows.map(({ id }) => bytesToUuid(id)), last: last && bytesToUuid(last) };
}

export async function lockDeadLetters(
  trx: Transaction,
  ids: readonly string[],
): Promise<{ id: string; raw: Buffer }[]> {
  const query = trx("dead_letters")
    .select<{ id: Buffer; raw: Buffer }[]>("id", "raw")
    .whereIn("id", ids.map(uuidToBytes))
    .orderBy("id");
  const rows = await forUpdate(trx, query);
  return rows.map(({ id, raw }) => ({ id: bytesToUuid(id), raw }));
}

/** Replaces the error too, because it may quote the message. */
export async function replaceDeadLetter(
  trx: Transaction,
  id: string,
  deadLetter: { readonly raw: Uint8Array; readonly error: string },
): Promise<void> {
  await trx("dead_letters")
    .where("id", uuidToBytes(id))
    .update({ raw: Buffer.from(deadLetter.raw), error: deadLetter.error });
}

export async function deleteDeadLetter(trx: Transaction, id: string): Promise<void> {
  await trx("dead_letters").where("id", uuidToBytes(id)).delete();
}

function fromStored(row: StoredDeadLetter): DeadLetter {
  return {
    id: bytesToUuid(row.id),
    consumer: row.consumer.toString("utf8"),
    source: row.source.toString("utf8"),
    shard: row.shard,
    position: row.position,
    type: row.type.toString("utf8"),
    raw: row.raw,
    error: row.error,
    attempts: row.attempts,
    deadMs: row.dead_ms,
    replayRequestedMs: row.replay_requested_ms ?? undefined,
    replayedMs: row.replayed_ms ?? undefined,
  };
}
