import { expect, test } from "vitest";
import { type ColumnMapping, InvalidRecord, mapRecord } from "./map-record.ts";
import { parseTime } from "./parse-time.ts";

const mapping: ColumnMapping = {
  userColumns: ["user_id"],
  anonymousColumns: ["anonymous_id"],
  nameColumns: ["name", "event_type"],
  timeColumns: ["event_time"],
  renames: new Map([["view", "product.viewed"]]),
  numberColumns: new Set(["price"]),
  skippedColumns: new Set(["secret"]),
};

test("named columns become the event, the others its properties", () => {
  const record = { event_time: "2019-10-01 00:00:00 UTC", event_type: "view", user_id: "541312140" };
  const event = mapRecord(
    { ...record, price: "35.79", brand: "", secret: "x", color: "red" },
    mapping,
    "d:2",
  );
  expect(event).toEqual({
    user_id: "541312140",
    name: "product.viewed",
    timestamp: "2019-10-01T00:00:00.000Z",
    event_id: "d:2",
    properties: { price: 35.79, color: "red" },
  });
});

test("an NDJSON record's own properties object is taken as it is, __proto__ included", () => {
  const properties = JSON.parse('{"__proto__":{"a":1},"n":[1]}') as unknown;
  const event = mapRecord({ user_id: "u", name: "n", properties }, mapping, "d:1");
  expect(JSON.stringify(event.properties)).toBe('{"__proto__":{"a":1},"n":[1]}');
});

test.each([
  [{ name: "x" }, "no user in column user_id"],
  [{ user_id: "u" }, "no event name in any of the columns name, event_type"],
  [{ user_id: "u", name: "x", event_time: "2019-02-30" }, '"2019-02-30" is no time'],
  [{ user_id: "u", name: "x", price: "cheap" }, 'price: "cheap" is no number'],
])("%j is refused: %s", (record, message) => {
  expect(() => mapRecord(record, mapping, "d:1")).toThrowError(new InvalidRecord(message));
});

test.each([
  ["2019-10-01T02:00:00.123+02:00", Date.UTC(2019, 9, 1, 0, 0, 0, 123)],
  ["2019-10-01 00:00 -0130", Date.UTC(2019, 9, 1, 1, 30)],
  ["1569888000", 1_569_888_000_000],
  ["1569888000123", 1_569_888_000_123],
  ["2019-02-30 00:00:00", undefined],
  ["yesterday", undefined],
])("%s is %s", (text, ms) => {
  expect(parseTime(text)).toBe(ms);
});
