import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseClientInstant, parseInstant } from "./instant-text.ts";

test.each([
  ["2012-12-02T00:30:12.984Z", "2012-12-02T00:30:12.984Z"], // JavaScript, Java, Swift
  ["2012-12-02T00:30:12.984567+00:00", "2012-12-02T00:30:12.984Z"], // Python
  ["2012-12-02T00:30:12.984567", "2012-12-02T00:30:12.984Z"], // Python without a zone
  ["2012-12-02 00:30:12", "2012-12-02T00:30:12.000Z"], // SQL
  ["2012-12-02 00:30:12 +0200", "2012-12-01T22:30:12.000Z"], // Ruby
  ["2012-12-02T00:30:12-08", "2012-12-02T08:30:12.000Z"], // Postgres
  ["2012-12-02T00:30:12.984567123Z", "2012-12-02T00:30:12.984Z"], // Go
  ["2012-12-02T00:30Z", "2012-12-02T00:30:00.000Z"],
  ["2012-12-02t00:30:12,5z", "2012-12-02T00:30:12.500Z"],
  ["2012-12-02", "2012-12-02T00:00:00.000Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
  ["0000-12-31T23:00:00-01:00", "0001-01-01T00:00:00.000Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ["1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"],
  ["2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000Z"],
])("%s is %s", (text, expected) => {
  const ms = parseClientInstant(text);
  expect(ms === undefined ? undefined : new Date(ms).toISOString()).toBe(expected);
});

test.each([
  "",
  "now",
  "1354408212984",
  "2012-12-02T",
  "2012-12-02T00",
  "2012-12-02T24:00:00Z",
  "2012-12-02T00:60:00Z",
  "2012-12-02T00:30:60Z",
  "2023-02-29T00:00:00Z",
  "2012-13-01T00:00:00Z",
  "2012-00-01T00:00:00Z",
  "2012-01-00T00:00:00Z",
  "2012-12-02T00:30:12+24:00",
  "2012-12-02T00:30:12+01:60",
  "12012-12-02T00:30:12Z",
  "0001-01-01T00:00:00+01:00",
  "9999-12-31T23:59:59-00:01",
  " 2012-12-02T00:30:12Z",
  "2012-12-02T00:30:12Z\n",
  "２０１２-12-02T00:30:12Z",
])("%j is no instant", (text) => {
  expect(parseClientInstant(text)).toBeUndefined();
});

test.each(["2012-12-02", "2012-12-02 00:30:12Z", "2012-12-02T00:30:12", "2012-12-02T00:30:12+0100"])(
  "%s is not RFC 3339",
  (text) => {
    expect(parseClientInstant(text)).toBeDefined();
    expect(parseInstant(text)).toBeUndefined();
  },
);

test("every instant reads back from the text that JavaScript writes", async () => {
  await checkProperty(
    fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (ms) => {
      const text = new Date(ms).toISOString();
      expect(parseInstant(text)).toBe(ms);
    }),
  );
});
