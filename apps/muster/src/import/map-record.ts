// Converts a record of a file into an event of the batch route. Pure.
import { parseTime } from "./parse-time.ts";

/** Meaning of columns; other columns become properties under their own names. */
export interface ColumnMapping {
  readonly userColumns: readonly string[];
  readonly anonymousColumns: readonly string[];
  readonly nameColumns: readonly string[];
  readonly timeColumns: readonly string[];
  /** Event names by value of the name column; other values are used unchanged. */
  readonly renames: ReadonlyMap<string, string>;
  /** Columns whose properties are numbers rather than text. */
  readonly numberColumns: ReadonlySet<string>;
  /** Columns left out. */
  readonly skippedColumns: ReadonlySet<string>;
}

/** A value of a record: text from CSV, any JSON value from NDJSON. */
export type FileRecord = Readonly<Record<string, unknown>>;

/** The JSON of an event for POST /v1/events:batch. */
export interface ImportedEvent {
  readonly user_id?: string;
  readonly anonymous_id?: string;
  readonly name: string;
  readonly timestamp?: string;
  readonly event_id: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** Reports why a record is not an event, to the person who runs the import. */
export class InvalidRecord extends Error {
  override name = "InvalidRecord";
}

export function mapRecord(record: FileRecord, mapping: ColumnMapping, eventId: string): ImportedEvent {
  const used = new Set<string>(mapping.skippedColumns);
  const take = (columns: readonly string[]): unknown => {
    const column = columns.find((name) => filled(record[name]));
    if (column !== undefined) used.add(column);
    return column === undefined ? undefined : record[column];
  };
  const name = take(mapping.nameColumns);
  if (name === undefined) throw new InvalidRecord(`no event name in ${listed(mapping.nameColumns)}`);
  const user = take(mapping.userColumns);
  const anonymous = user === undefined ? take(mapping.anonymousColumns) : undefined;
  if (user === undefined && anonymous === undefined)
    throw new InvalidRecord(`no user in ${listed(mapping.userColumns)}`);
  const time = take(mapping.timeColumns);
  return {
    ...(user === undefined ? { anonymous_id: String(anonymous) } : { user_id: String(user) }),
    name: mapping.renames.get(String(name)) ?? String(name),
    ...(time === undefined ? {} : { timestamp: isoTime(time) }),
    event_id: eventId,
    properties: propertiesOf(record, used, mapping.numberColumns),
  };
}

function isoTime(value: unknown): string {
  const ms = parseTime(String(value));
  if (ms === undefined || Math.abs(ms) > 8.64e15)
    throw new InvalidRecord(`"${String(value).slice(0, 40)}" is no time`);
  return new Date(ms).toISOString();
}

function propertiesOf(
  record: FileRecord,
  used: ReadonlySet<string>,
  numberColumns: ReadonlySet<string>,
): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  for (const [column, value] of Object.entries(record)) {
    if (used.has(column) || !filled(value)) continue;
    if (column === "properties" && isObject(value)) {
      for (const [key, inner] of Object.entries(value)) define(properties, key, inner);
    } else define(properties, column, numberColumns.has(column) ? numberOf(column, value) : value);
  }
  return properties;
}

/** Plain assignment would lose a column called `__proto__`. */
function define(target: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function numberOf(column: string, value: unknown): number {
  const number = typeof value === "string" && value.trim() === "" ? Number.NaN : Number(value);
  if (!Number.isFinite(number))
    throw new InvalidRecord(`${column}: "${String(value).slice(0, 40)}" is no number`);
  return number;
}

function filled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function listed(columns: readonly string[]): string {
  return columns.length === 1 ? `column ${columns[0]}` : `any of the columns ${columns.join(", ")}`;
}
