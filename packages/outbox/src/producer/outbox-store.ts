// Holds every statement of a producer against shard_positions, outbox_messages and outbox_consumers.
import { create } from "@bufbuild/protobuf";
import { type Envelope, EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { assert, bytesToUuid, SHARD_COUNT, uuidToBytes } from "@muster/core";
import { forUpdate, insertRows, type Queryable, type Transaction } from "@muster/db";
import type { AppliedShard } from "../ports/ports.ts";

export interface Growth {
  readonly messages: number;
  readonly items: number;
}

export interface ShardEnd {
  readonly position: number;
  readonly items: number;
}

export interface OutboxRow {
  readonly shard: number;
  readonly position: number;
  readonly messageId: string;
  readonly type: string;
  readonly timeMs: number;
  readonly itemsThrough: number;
  readonly traceParent: string;
  readonly data: Uint8Array;
}

/** Positions of one shard: after `after`, up to and including `through`. */
export interface ShardRange {
  readonly shard: number;
  readonly after: number;
  readonly through: number;
}

const MESSAGE_COLUMNS = [
  "shard",
  "position",
  "message_id",
  "type",
  "time_ms",
  "items_through",
  "trace_parent",
  "data",
] as const;

interface MessageRow {
  shard: number;
  position: number;
  message_id: Buffer;
  type: Buffer;
  time_ms: number;
  items_through: number;
  trace_parent: Buffer;
  data: Buffer;
}

/** The most bytes that a read returns beyond its first message. */
const READ_BYTES_MAX = 4 * 1024 * 1024;
const READ_ROWS_FIRST = 8;

/**
 * Advances the rows of the shards and leaves them locked, in shard order. Returns the new end of each shard.
 */
export async function bumpPositions(
  trx: Transaction,
  growth: ReadonlyMap<number, Growth>,
): Promise<Map<number, ShardEnd>> {
  const shards = [...growth.keys()].sort((a, b) => a - b);
  // An update instead of a select for update: it locks in key order, and takes one round trip for all shards.
  const cases = shards.map(() => "when ? then ?").join(" ");
  const grown = (of: keyof Growth) => shards.flatMap((shard) => [shard, growth.get(shard)?.[of] ?? 0]);
  const updated = await trx("shard_positions")
    .whereIn("shard", shards)
    .update({
      position: trx.raw(`position + case shard ${cases} end`, grown("messages")),
      items: trx.raw(`items + case shard ${cases} end`, grown("items")),
    });
  assert(updated === shards.length, "shard_positions lacks a shard; its migration has not run");
  const rows: { shard: number; position: number; items: number }[] = await trx("shard_positions")
    .select("shard", "position", "items")
    .whereIn("shard", shards)
    .orderBy("shard");
  return new Map(rows.map(({ shard, position, items }) => [shard, { position, items }]));
}

export async function insertMessages(trx: Transaction, rows: readonly OutboxRow[]): Promise<void> {
  const sorted = [...rows].sort((a, b) => a.shard - b.shard || a.position - b.position);
  await insertRows(trx, "outbox_messages", MESSAGE_COLUMNS, sorted.map(toRow), "fail", ["shard", "position"]);
}

/**
 * Locks the ends of these shards until the transaction ends, so that no other transaction appends to them.
 */
export async function lockPositions(trx: Transaction, shards: readonly number[]): Promise<void> {
  const rows = trx("shard_positions")
    .select("shard")
    .whereIn("shard", [...shards])
    .orderBy("shard");
  await forUpdate(trx, rows);
}

export async function readPositions(db: Queryable): Promise<number[]> {
  const rows: { shard: number; position: number }[] = await db("shard_positions").select("shard", "position");
  return byShard(rows, (row) => row.position);
}

/**
 * Reads the messages of one shard after a position, in order. Returns fewer than `limit` where messages are
 * large: only an empty result means that there are no more.
 */
export async function readMessages(
  db: Queryable,
  service: string,
  range: { readonly shard: number; readonly afterPosition: number; readonly limit: number },
): Promise<Envelope[]> {
  const envelopes: Envelope[] = [];
  let after = range.afterPosition;
  let bytes = 0;
  let rowsNext = READ_ROWS_FIRST;
  while (envelopes.length < range.limit && bytes < READ_BYTES_MAX) {
    const wanted = Math.min(rowsNext, range.limit - envelopes.length);
    const rows: MessageRow[] = await db("outbox_messages")
      .select(MESSAGE_COLUMNS)
      .where("shard", range.shard)
      .andWhere("position", ">", after)
      .orderBy("position")
      .limit(wanted);
    for (const row of rows) {
      envelopes.push(toEnvelope(service, row));
      after = row.position;
      bytes += row.data.byteLength;
    }
    if (rows.length < wanted) break;
    // As many rows as fit into the bytes left, if the rest have the same average size.
    const averageBytes = Math.max(1, bytes / envelopes.length);
    rowsNext = Math.max(1, Math.floor((READ_BYTES_MAX - bytes) / averageBytes));
  }
  return envelopes;
}

/** Reads the messages of several shards, in order of shard and position. */
export async function readRanges(
  db: Queryable,
  service: string,
  ranges: readonly ShardRange[],
): Promise<Envelope[]> {
  const rows: MessageRow[] = await db("outbox_messages")
    .select(MESSAGE_COLUMNS)
    .where((any) => {
      for (const { shard, after, through } of ranges) {
        any.orWhere((one) =>
          one.where("shard", shard).andWhere("position", ">", after).andWhere("position", "<=", through),
        );
      }
    })
    .orderBy(["shard", "position"]);
  return rows.map((row) => toEnvelope(service, row));
}

/**
 * Stores a consumer's report. The latest report wins, even a smaller one: a value that is too small only
 * keeps messages longer.
 */
export async function saveAppliedPositions(
  trx: Transaction,
  consumer: string,
  shards: readonly AppliedShard[],
): Promise<void> {
  const name = Buffer.from(consumer, "utf8");
  const rows = [...shards]
    .sort((a, b) => a.shard - b.shard)
    .map(({ shard, position, itemsThrough }) => [name, shard, position, itemsThrough]);
  await insertRows(
    trx,
    "outbox_consumers",
    ["consumer", "shard", "position", "items_through"],
    rows,
    { overwrite: ["position", "items_through"] },
    ["consumer", "shard"],
  );
}

function toRow(row: OutboxRow): (string | number | Buffer)[] {
  const { data } = row;
  return [
    row.shard,
    row.position,
    uuidToBytes(row.messageId),
    Buffer.from(row.type, "utf8"),
    row.timeMs,
    row.itemsThrough,
    Buffer.from(row.traceParent, "utf8"),
    Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  ];
}

/** Returns the message in the form in which a read returns it. */
export function envelopeOf(service: string, row: OutboxRow): Envelope {
  return create(EnvelopeSchema, {
    id: row.messageId,
    source: service,
    type: row.type,
    timeMs: BigInt(row.timeMs),
    shard: row.shard,
    position: BigInt(row.position),
    itemsThrough: BigInt(row.itemsThrough),
    traceParent: row.traceParent,
    data: row.data,
  });
}

function toEnvelope(service: string, row: MessageRow): Envelope {
  return create(EnvelopeSchema, {
    id: bytesToUuid(row.message_id),
    source: service,
    type: row.type.toString("utf8"),
    timeMs: BigInt(row.time_ms),
    shard: row.shard,
    position: BigInt(row.position),
    itemsThrough: BigInt(row.items_through),
    traceParent: row.trace_parent.toString("utf8"),
    data: row.data,
  });
}

/** Returns one value for each shard, 0 where there is no row. */
export function byShard<Row extends { shard: number }>(
  rows: readonly Row[],
  value: (row: Row) => number,
): number[] {
  const values = zeros();
  for (const row of rows) values[row.shard] = value(row);
  return values;
}

export function zeros(): number[] {
  return new Array<number>(SHARD_COUNT).fill(0);
}
