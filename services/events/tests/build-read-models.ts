// Builds the read models from raw events that were inserted without the ingest queue, for benches and tests.
import { insertRows, type Transaction, type Value } from "@muster/db";

/** Replaces the event counts and page views of all organizations by those of the stored events. */
export async function buildReadModels(trx: Transaction): Promise<void> {
  await countEvents(trx);
  await keepPageViews(trx);
}

async function countEvents(trx: Transaction): Promise<void> {
  await trx("event_counts").delete();
  await trx.raw(
    "INSERT INTO event_counts (organization_id, profile_id, name, count) SELECT organization_id, profile_id, name, COUNT(*) FROM tracked_events GROUP BY organization_id, profile_id, name",
  );
}

interface StoredView {
  readonly event_id: Buffer;
  readonly profile_id: Buffer;
  readonly occurred_ms: number;
  readonly properties: string;
}

const CHUNK_ROWS = 2000;
const HOUR_MS = 3_600_000;
const COLUMNS = ["organization_id", "day", "profile_id", "hour", "part", "full_parts", "size_bytes", "views"];

/** Adds each stored page view to the row of the hour, day by day. A later append splits full hours. */
async function keepPageViews(trx: Transaction): Promise<void> {
  await trx("page_view_hours").delete();
  const days = await trx("tracked_events")
    .distinct<{ organization_id: Buffer; day: number }[]>("organization_id", "day")
    .orderBy(["organization_id", "day"]);
  for (const { organization_id, day } of days) {
    let last: Buffer = Buffer.alloc(16);
    for (let isDone = false; !isDone; ) {
      const views = await trx("tracked_events")
        .select<StoredView[]>("event_id", "profile_id", "occurred_ms", "properties")
        .where({ organization_id, day, name: Buffer.from("page.viewed") })
        .where("event_id", ">", last)
        .orderBy("event_id")
        .limit(CHUNK_ROWS);
      const rows = views.map((view) => toRow(organization_id, Number(day), view)).sort(byKey);
      const onConflict = { add: ["size_bytes"], append: ["views"] };
      await insertRows(trx, "page_view_hours", COLUMNS, rows, onConflict, COLUMNS.slice(0, 5));
      last = views.at(-1)?.event_id ?? last;
      isDone = views.length < CHUNK_ROWS;
    }
  }
}

function toRow(organization: Buffer, day: number, view: StoredView): Value[] {
  const occurredMs = Number(view.occurred_ms);
  const hours = Math.floor(occurredMs / HOUR_MS);
  const { name } = JSON.parse(view.properties) as { readonly name?: unknown };
  const page = Buffer.from(typeof name === "string" ? name : "");
  const at = Buffer.alloc(3);
  at.writeUIntLE(occurredMs - hours * HOUR_MS, 0, 3);
  const entry = Buffer.concat([at, lengthPrefix(page.length), page]);
  return [organization, day, view.profile_id, hours - day * 24, 0, 0, entry.length, entry];
}

/** Seven bits per byte, low bits first. */
function lengthPrefix(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}

/** Compares rows of one organization and day. */
function byKey(a: readonly Value[], b: readonly Value[]): number {
  return Buffer.compare(a[2] as Buffer, b[2] as Buffer) || Number(a[3]) - Number(b[3]);
}
