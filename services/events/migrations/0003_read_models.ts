// Creates the read models of summaries and points, and the event catalog.
import { blob, bool, bytes, id16, insertRows, integer, type Schema, tiny, type Value } from "@muster/db";

export async function up(schema: Schema): Promise<void> {
  await schema.createTable("event_counts", {
    columns: { organization_id: id16(), profile_id: id16(), name: bytes(255), count: integer() },
    primaryKey: ["organization_id", "profile_id", "name"],
  });
  await schema.createTable("page_view_hours", {
    columns: {
      organization_id: id16(),
      // UTC days since 1970, and the hour of the day.
      day: integer(),
      profile_id: id16(),
      hour: tiny(),
      // Part 0 receives new views; the other parts are full and never change.
      part: integer(),
      // In part 0: the number of other parts.
      full_parts: integer(),
      size_bytes: integer(),
      // The encoded views in order of arrival: see page-views.ts.
      views: blob(),
    },
    // Time first, so that new rows go to one end of the table.
    primaryKey: ["organization_id", "day", "profile_id", "hour", "part"],
    indexes: { page_view_hours_by_profile: ["organization_id", "profile_id", "day", "hour", "part"] },
  });
  await schema.createTable("event_types", {
    columns: {
      organization_id: id16(),
      name: bytes(255),
      description: bytes(1024),
      price_millionths: integer(),
      // The organization deleted a default type.
      is_deleted: bool(),
    },
    primaryKey: ["organization_id", "name"],
  });
  // One row for each organization with catalog changes; every change locks the row.
  await schema.createTable("event_catalogs", {
    columns: { organization_id: id16(), changes: integer() },
    primaryKey: ["organization_id"],
  });
  await countEvents(schema);
  await keepPageViews(schema);
}

/** Counts the events stored before. After a crash the migration starts again from the beginning. */
async function countEvents({ trx }: Schema): Promise<void> {
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
async function keepPageViews({ trx }: Schema): Promise<void> {
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
