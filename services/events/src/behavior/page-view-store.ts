// Stores page views per profile and UTC hour: every statement against `page_view_hours`.
//
// A view is appended to part 0 of the hour without reading the row. Concurrent writers lose no view, and late
// or future views cost the same as any other. A full part 0 becomes a separate part that never changes again,
// under the row lock of the append. An append therefore rewrites little more than FULL_BYTES, however many
// views the hour has. For example, 100,000 views of a profile in one hour make about 150 parts, which are
// read in about 20 ms. Checking whether rows are full costs as much as looking up the profiles. A commit
// therefore checks only the hours with many new views and every sixteenth of the others, from a random start.
// The other full parts are split a few views later.
import {
  bytesToUuid,
  chunksOf,
  type OrganizationId,
  type ProfileId,
  uuidToBytes,
  type WorkBudget,
} from "@muster/core";
import { insertRows, type Queryable, type Transaction, type Value } from "@muster/db";
import { dayOf, type TrackedEvent } from "../event-storage/tracked-event.ts";
import { UuidBytesCache } from "../event-storage/uuid-bytes-cache.ts";
import { decodeViews, encodeView, pageOf, type ViewHour, viewHourOf } from "./page-views.ts";

const TABLE = "page_view_hours";
const COLUMNS = ["organization_id", "day", "profile_id", "hour", "part", "full_parts", "size_bytes", "views"];
const KEY = COLUMNS.slice(0, 5);
const OVERWRITE = { overwrite: COLUMNS.slice(5) };
/** About 700 views. */
const FULL_BYTES = 16 * 1024;
/** Of hours with few new views, a commit checks one in this many. */
const CHECK_ONE_OF = 16;
/** An hour with this many new views is always checked. */
const MANY_VIEWS = 16;
/** Keys in one statement. */
const STATEMENT_KEYS_MAX = 500;
const STATEMENT_HOURS_MAX = 64;
/** Profiles in one reading statement, each for up to eight days. */
const PROFILES_MAX = 50;
/** Parts read at once, which bounds the memory of a read. */
const PARTS_MAX = 64;

interface ProfileHour extends ViewHour {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
}

/** Adds new page views to the recorded profiles. `random` is any integer. */
export async function addPageViews(
  trx: Transaction,
  views: readonly TrackedEvent[],
  random: number,
): Promise<void> {
  if (views.length === 0) return;
  const added = new Map<string, { readonly hourKey: ProfileHour; readonly entries: Buffer[] }>();
  for (const view of views) {
    const { organizationId, profileId, occurredMs } = view;
    const hourKey = { organizationId, profileId, ...viewHourOf(occurredMs) };
    const key = `${organizationId}/${profileId}/${hourKey.day}/${hourKey.hour}`;
    const entry = encodeView(occurredMs, pageOf(view));
    const existing = added.get(key);
    if (existing === undefined) added.set(key, { hourKey, entries: [entry] });
    else existing.entries.push(entry);
  }
  const sorted = [...added.values()].sort((a, b) => compareHours(a.hourKey, b.hourKey));
  const bytes = new UuidBytesCache();
  const rows = sorted.map(({ hourKey, entries }) => {
    const joined = Buffer.concat(entries);
    return toRow(hourKey, { part: 0, fullParts: 0, views: joined }, bytes);
  });
  await insertRows(trx, TABLE, COLUMNS, rows, { add: ["size_bytes"], append: ["views"] }, KEY);
  const checked = sorted.filter(
    ({ entries }, index) => entries.length >= MANY_VIEWS || (index + random) % CHECK_ONE_OF === 0,
  );
  await moveFullAside(
    trx,
    checked.map(({ hourKey }) => hourKey),
  );
}

interface FullRow {
  readonly organization_id: Buffer;
  readonly day: number;
  readonly profile_id: Buffer;
  readonly hour: number;
  readonly full_parts: number;
  readonly views: Buffer;
}

/** Lists the hours whose part 0 is full. */
export async function listFullHours(db: Queryable, hours: readonly ProfileHour[]): Promise<FullRow[]> {
  const full: FullRow[] = [];
  for (const [condition, bindings] of keysOf(hours)) {
    const rows = await db(TABLE)
      .select<FullRow[]>("organization_id", "day", "profile_id", "hour", "full_parts", "views")
      .where("size_bytes", ">=", FULL_BYTES)
      .whereRaw(`(${condition})`, bindings);
    for (const row of rows) full.push(row);
  }
  return full;
}

/**
 * Invariant: the transaction has written to these hours, so that no other transaction changes the rows before
 * the end.
 */
async function moveFullAside(trx: Transaction, hours: readonly ProfileHour[]): Promise<void> {
  const full = await listFullHours(trx, hours);
  if (full.length === 0) return;
  const moved = full
    .map((row) => ({
      hourKey: {
        organizationId: bytesToUuid<OrganizationId>(row.organization_id),
        profileId: bytesToUuid<ProfileId>(row.profile_id),
        day: Number(row.day),
        hour: Number(row.hour),
      },
      part: Number(row.full_parts) + 1,
      views: row.views,
    }))
    .sort((a, b) => compareHours(a.hourKey, b.hourKey));
  const bytes = new UuidBytesCache();
  const parts = moved.map(({ hourKey, part, views }) => toRow(hourKey, { part, fullParts: 0, views }, bytes));
  // A part with this number exists only while retention removes the hour, after the removal of part 0.
  await insertRows(trx, TABLE, COLUMNS, parts, OVERWRITE, KEY);
  const heads = moved.map(({ hourKey, part }) =>
    toRow(hourKey, { part: 0, fullParts: part, views: Buffer.alloc(0) }, bytes),
  );
  await insertRows(trx, TABLE, COLUMNS, heads, OVERWRITE, KEY);
}

/** A range of instants in epoch milliseconds; both ends are included. */
export interface ViewRange {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Receives views; the budget gives turns to the event loop between rows. */
export interface ViewVisitor {
  readonly visit: (occurredMs: number, page: string) => void;
  readonly budget: WorkBudget;
}

/**
 * Calls `visit` for every view of the profiles on the days of the range, including views of those days
 * outside the range.
 */
export async function visitPageViews(
  db: Queryable,
  organizationId: OrganizationId,
  profileIds: readonly ProfileId[],
  range: ViewRange,
  { visit, budget }: ViewVisitor,
): Promise<void> {
  const days: number[] = [];
  for (let day = dayOf(range.fromMs); day <= dayOf(range.toMs); day += 1) days.push(day);
  for (const ids of chunksOf(profileIds, PROFILES_MAX)) {
    const heads = await db(TABLE)
      .select<Omit<FullRow, "organization_id">[]>("day", "profile_id", "hour", "full_parts", "views")
      .where("organization_id", uuidToBytes(organizationId))
      .whereIn("day", days)
      .whereIn("profile_id", ids.map(uuidToBytes))
      .where("part", 0);
    for (const { day, profile_id, hour, full_parts, views } of heads) {
      const hourKey = { day: Number(day), hour: Number(hour) };
      decodeViews(hourKey, views, visit);
      await spendOn(views, budget);
      const key = { organization_id: uuidToBytes(organizationId), profile_id, ...hourKey };
      await visitFullParts(db, key, Number(full_parts), { visit, budget });
    }
  }
}

/**
 * Reads the parts that existed when part 0 was read. Parts split later were already visited as a piece of
 * part 0.
 */
async function visitFullParts(
  db: Queryable,
  key: ViewHour & { readonly organization_id: Buffer; readonly profile_id: Buffer },
  fullParts: number,
  { visit, budget }: ViewVisitor,
): Promise<void> {
  for (let last = 0; last < fullParts; last += PARTS_MAX) {
    const parts = await db(TABLE)
      .select<{ views: Buffer }[]>("views")
      .where(key)
      .where("part", ">", last)
      .where("part", "<=", Math.min(last + PARTS_MAX, fullParts));
    for (const { views } of parts) {
      decodeViews(key, views, visit);
      await spendOn(views, budget);
    }
  }
}

/** A view takes about ten bytes, and its decoding a third of a microsecond. */
async function spendOn(views: Buffer, budget: WorkBudget): Promise<void> {
  budget.spend(1 + views.length / 30);
  if (budget.isSliceOver) await budget.turn();
}

/** Returns the first day of the organization with page views. */
export async function firstDayWithViews(
  db: Queryable,
  organizationId: OrganizationId,
): Promise<number | undefined> {
  const row = await db(TABLE)
    .where("organization_id", uuidToBytes(organizationId))
    .orderBy(["organization_id", "day", "profile_id", "hour", "part"])
    .first<{ day: number } | undefined>("day");
  return row && Number(row.day);
}

/**
 * Deletes all page views of the first profiles of a day: at least `limit` rows if the day has as many.
 * Invariant: the parts of an hour are deleted together, because the first part counts the others.
 */
export async function deleteViewsOfDay(
  trx: Transaction,
  organizationId: OrganizationId,
  day: number,
  limit: number,
): Promise<number> {
  const dayKey = { organization_id: uuidToBytes(organizationId), day };
  const rows = await trx(TABLE)
    .select<{ profile_id: Buffer }[]>("profile_id")
    .where(dayKey)
    .orderBy(["organization_id", "day", "profile_id", "hour", "part"])
    .limit(limit);
  const profileIds = [...new Map(rows.map(({ profile_id: id }) => [id.toString("latin1"), id])).values()];
  if (profileIds.length === 0) return 0;
  return trx(TABLE).where(dayKey).whereIn("profile_id", profileIds).delete();
}

function toRow(
  { organizationId, profileId, day, hour }: ProfileHour,
  { part, fullParts, views }: { readonly part: number; readonly fullParts: number; readonly views: Buffer },
  bytes: UuidBytesCache,
): Value[] {
  return [bytes.uuid(organizationId), day, bytes.uuid(profileId), hour, part, fullParts, views.length, views];
}

/** Compares by the key of the table. */
function compareHours(a: ProfileHour, b: ProfileHour): number {
  if (a.organizationId !== b.organizationId) return a.organizationId < b.organizationId ? -1 : 1;
  if (a.day !== b.day) return a.day - b.day;
  if (a.profileId !== b.profileId) return a.profileId < b.profileId ? -1 : 1;
  return a.hour - b.hour;
}

/** Returns conditions with bindings that together select part 0 of every hour. */
function* keysOf(hours: readonly ProfileHour[]): Generator<[string, (number | Buffer)[]]> {
  const groups = Map.groupBy(hours, ({ organizationId, day, hour }) => `${organizationId}/${day}/${hour}`);
  let conditions: string[] = [];
  let bindings: (number | Buffer)[] = [];
  for (const group of groups.values()) {
    for (const some of chunksOf(group, STATEMENT_KEYS_MAX)) {
      const [first] = some;
      if (first === undefined) continue;
      if (
        conditions.length >= STATEMENT_HOURS_MAX ||
        (conditions.length > 0 && bindings.length + some.length > STATEMENT_KEYS_MAX)
      ) {
        yield [conditions.join(" or "), bindings];
        conditions = [];
        bindings = [];
      }
      conditions.push(
        `(organization_id = ? and day = ? and hour = ? and part = 0 and profile_id in (?${", ?".repeat(some.length - 1)}))`,
      );
      bindings.push(uuidToBytes(first.organizationId), first.day, first.hour);
      for (const { profileId } of some) bindings.push(uuidToBytes(profileId));
    }
  }
  if (conditions.length > 0) yield [conditions.join(" or "), bindings];
}
