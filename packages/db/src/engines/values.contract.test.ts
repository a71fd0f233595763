// Tests that stored values are read back byte for byte, and that similar keys stay distinct.
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  blob,
  bool,
  bytes,
  type Database,
  id16,
  insertRows,
  instant,
  integer,
  isUniqueViolation,
  json,
  nullable,
  PRIMARY_KEY,
  Schema,
  text,
  tiny,
  UniqueViolation,
  withDefault,
} from "../index.ts";

const COLUMNS = ["id", "name", "email", "at_ms", "amount", "kind", "is_on", "document", "title", "body"];

describe.each(ENGINES)("values on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;

  beforeAll(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    await database.transaction((trx) =>
      new Schema(engine, trx).createTable("people", {
        columns: {
          id: id16(),
          name: bytes(255),
          email: nullable(bytes(255)),
          at_ms: instant(),
          amount: integer(),
          kind: withDefault(tiny(), 7),
          is_on: bool(),
          document: json(),
          title: nullable(text(100)),
          body: nullable(blob()),
        },
        primaryKey: ["id"],
        unique: { people_name_uq: ["name"], people_email_uq: ["email", "kind"] },
        indexes: { people_at: ["at_ms", "id"] },
      }),
    );
  });
  beforeEach(() => database.transaction((trx) => trx("people").delete()));
  afterAll(() => place.close());

  const NAMES = [
    "a",
    "a ",
    " a",
    "A",
    "á",
    "a\u0301",
    "013",
    "13",
    "13.0",
    "ß",
    "ss",
    "",
    "\0",
    "a\0",
    "🐘",
    "%",
    "_",
    "'\\",
  ];

  test("identifiers that look alike are different", async () => {
    await insert(NAMES.map((name, index) => row({ id: id(index), name: Buffer.from(name) })));
    for (const [index, name] of NAMES.entries()) {
      const found = await database.reader("people").where("name", Buffer.from(name)).select("id", "name");
      expect(found, JSON.stringify(name)).toEqual([{ id: id(index), name: Buffer.from(name) }]);
    }
    const sorted = await database.reader("people").orderBy("name").pluck<Buffer[]>("name");
    expect(sorted).toEqual(NAMES.map((name) => Buffer.from(name)).sort(Buffer.compare));
    const listed = await database.reader("people").whereIn(
      "name",
      ["A", "13", "á"].map((name) => Buffer.from(name)),
    );
    expect(listed).toHaveLength(3);
  });

  test.each(["builder", "bulk"])("every kind of value survives the %s", async (path) => {
    const stored = {
      ...row({ id: Buffer.from("00ff27225c0a0d1a80c3288effeeddcc", "hex") }),
      name: Buffer.from(Array.from({ length: 255 }, (_, index) => index)),
      email: null,
      at_ms: -62_135_596_800_000,
      amount: Number.MAX_SAFE_INTEGER,
      kind: 255,
      is_on: 1,
      document: JSON.stringify({
        emoji: "👩‍👩‍👧",
        quote: "'\"\\\n\u2028",
        deep: [[[1.5, null, true]]],
        é: "\u0000",
      }),
      title: "Crème brûlée 🍮 ",
      body: Buffer.alloc(300_000, 0xfe),
    };
    if (path === "bulk") await insert([stored]);
    else await database.transaction((trx) => trx("people").insert(stored));
    expect(await database.reader("people").select(...COLUMNS)).toEqual([stored]);
    const least = { ...stored, amount: -Number.MAX_SAFE_INTEGER };
    await database.transaction((trx) => trx("people").update({ amount: least.amount }));
    expect(await database.reader("people").select(...COLUMNS)).toEqual([least]);
  });

  test("counts and sums are numbers", async () => {
    await insert([1, 2, 3].map((index) => row({ id: id(index), name: id(index), amount: 2 ** 50 + index })));
    const sums = await database
      .reader("people")
      .count({ count: "*" })
      .sum({ sum: "amount" })
      .max({ max: "amount" })
      .first();
    expect(sums).toEqual({ count: 3, sum: 3 * 2 ** 50 + 6, max: 2 ** 50 + 3 });
  });

  test("violated unique keys are identified by name, for any value", async () => {
    const tricky = Buffer.from("x' for key 'people_email_uq'");
    await insert([row({ id: id(1), name: tricky, email: Buffer.from("e") })]);
    const same = { name: tricky, email: Buffer.from("e") };
    const violations = await Promise.all([
      violation(row({ ...same, id: id(2), email: null })),
      violation(row({ ...same, id: id(2), name: id(2) })),
      violation(row({ ...same, id: id(1), name: id(2), email: null })),
    ]);
    expect(violations.map((one) => one.keyName)).toEqual(["people_name_uq", "people_email_uq", PRIMARY_KEY]);
    const [first] = violations;
    expect(isUniqueViolation(first)).toBe(true);
    expect(isUniqueViolation(first, "people_name_uq")).toBe(true);
    expect(isUniqueViolation(first, "people_email_uq")).toBe(false);
    expect(String(first)).not.toMatch(/insert|x'/i);
    // Nulls are not equal to each other.
    await insert([
      row({ id: id(5), name: id(5), email: null }),
      row({ id: id(6), name: id(6), email: null }),
    ]);
  });

  test("a violation in the bulk path is reported the same way, and rolls all rows back", async () => {
    await insert([row({ id: id(1), name: id(1) })]);
    const failing = insert([row({ id: id(2), name: id(2) }), row({ id: id(3), name: id(1) })]);
    await expect(failing).rejects.toMatchObject({ keyName: "people_name_uq" });
    expect(await database.reader("people").pluck("name")).toEqual([id(1)]);
  });

  test("the shared clock shows the time in milliseconds, whatever the zone of the server", async () => {
    const nowMs = await database.nowMs();
    expect(Number.isSafeInteger(nowMs)).toBe(true);
    // The test servers run on this machine; a zone would differ by a quarter of an hour at least.
    expect(Math.abs(nowMs - Date.now())).toBeLessThan(60_000);
    expect(await database.nowMs()).toBeGreaterThanOrEqual(nowMs);
  });

  test("a value that is too long is an error, never truncated", async () => {
    await expect(insert([row({ id: Buffer.alloc(17) })])).rejects.toThrow();
    await expect(insert([row({ document: null })])).rejects.toThrow();
    expect(isUniqueViolation(await insert([row({ document: null })]).catch((error: unknown) => error))).toBe(
      false,
    );
    expect(await database.reader("people").select("id")).toEqual([]);
  });

  interface Row extends Record<string, string | number | Buffer | null> {
    id: Buffer;
    name: Buffer;
  }

  function row(values: Partial<Row>): Row {
    return {
      id: id(0),
      name: Buffer.from("name"),
      email: null,
      at_ms: 0,
      amount: 0,
      kind: 0,
      is_on: 0,
      document: "{}",
      title: null,
      body: null,
      ...values,
    };
  }

  async function insert(rows: readonly Row[]): Promise<void> {
    const values = rows.map((one) => COLUMNS.map((column) => one[column] ?? null));
    await database.transaction((trx) => insertRows(trx, "people", COLUMNS, values, "fail", ["id"]));
  }

  async function violation(one: Row): Promise<UniqueViolation> {
    const error: unknown = await database
      .transaction((trx) => trx("people").insert(one))
      .catch((caught: unknown) => caught);
    if (!(error instanceof UniqueViolation)) throw new Error(`no violation but ${String(error)}`);
    return error;
  }
});

function id(number: number): Buffer {
  const buffer = Buffer.alloc(16, 0x80);
  buffer.writeUInt32BE(number);
  return buffer;
}
