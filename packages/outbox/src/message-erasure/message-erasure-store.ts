// Holds the statements that find and rewrite stored messages of an outbox.
import { forUpdate, type Queryable, type Transaction } from "@muster/db";

/** A message that may be rewritten; its position stays. */
export interface WrittenMessage {
  readonly position: number;
  readonly type: string;
  readonly data: Buffer;
}

/** Returns the shard's first position after `after`, up to and including `through`. */
export async function firstPosition(
  db: Queryable,
  range: { readonly shard: number; readonly after: number; readonly through: number },
): Promise<number | undefined> {
  const [row] = await db("outbox_messages")
    .select<{ position: number }[]>("position")
    .where("shard", range.shard)
    .andWhere("position", ">", range.after)
    .andWhere("position", "<=", range.through)
    .orderBy("position")
    .limit(1);
  return row?.position;
}

/** Returns positions in the range, both ends included, of messages that contain one of the byte strings. */
export async function findContaining(
  db: Queryable,
  range: { readonly shard: number; readonly from: number; readonly through: number },
  profileIdBytes: readonly Buffer[],
): Promise<number[]> {
  const rows: { position: number }[] = await db("outbox_messages")
    .select("position")
    .where("shard", range.shard)
    .andWhere("position", ">=", range.from)
    .andWhere("position", "<=", range.through)
    .andWhere((any) => {
      for (const idBytes of profileIdBytes) any.orWhereRaw("instr(data, ?) > 0", [idBytes]);
    })
    .orderBy("position");
  return rows.map((row) => row.position);
}

/** Reads and locks messages, so that concurrent rewrites of a message run one after the other. */
export async function lockMessages(
  trx: Transaction,
  shard: number,
  positions: readonly number[],
): Promise<WrittenMessage[]> {
  const query = trx("outbox_messages")
    .select<{ position: number; type: Buffer; data: Buffer }[]>("position", "type", "data")
    .where("shard", shard)
    .whereIn("position", [...positions])
    .orderBy("position");
  const rows = await forUpdate(trx, query);
  return rows.map(({ position, type, data }) => ({ position, type: type.toString("utf8"), data }));
}

export async function replaceData(
  trx: Transaction,
  shard: number,
  position: number,
  data: Uint8Array,
): Promise<void> {
  await trx("outbox_messages")
    .where({ shard, position })
    .update({ data: Buffer.from(data) });
}

/** The position stays, so that consumers find no gap. */
export async function withdrawMessage(
  trx: Transaction,
  shard: number,
  position: number,
  type: string,
): Promise<void> {
  await trx("outbox_messages")
    .where({ shard, position })
    .update({ type: Buffer.from(type), data: Buffer.alloc(0) });
}
