import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { formatDuration, formatInstant, parseBareDate, parseDuration, parseInstant } from "./time-text.ts";

test.each([
  ["2019-10-01T00:00:00Z", "2019-10-01T00:00:00.000Z"],
  ["2019-10-01t00:00:00z", "2019-10-01T00:00:00.000Z"],
  ["2012-12-02T00:30:12.9849999999999999Z", "2012-12-02T00:30:12.984Z"],
  ["2012-12-02T00:30:12.9+05:30", "2012-12-01T19:00:12.900Z"],
  ["2020-02-29T23:59:59-00:01", "2020-03-01T00:00:59.000Z"],
  ["1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"],
  ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
  ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
])("%s is %s", (text, expected) => {
  expect(formatInstant(parseInstant(text))).toBe(expected);
});

test.each([
  "2019-10-01",
  "2019-10-01T00:00:00",
  "2019-10-01 00:00:00Z",
  "2019-13-01T00:00:00Z",
  "2019-00-01T00:00:00Z",
  "2019-02-29T00:00:00Z",
  "1900-02-29T00:00:00Z",
  "2019-10-01T24:00:00Z",
  "2016-12-31T23:59:60Z",
  "2019-10-01T00:00:00+24:00",
  "2019-10-01T00:00:00.Z",
  "0001-01-01T00:00:00+00:01",
  "9999-12-31T23:59:59-00:01",
  "0000-12-31T00:00:00Z",
  "+002019-10-01T00:00:00Z",
  "٢019-10-01T00:00:00Z",
  "2019-10-01T00:00:00Z\n",
])("%s is refused", (text) => {
  expect(() => parseInstant(text)).toThrow();
});

test("instants read as the platform reads them", async () => {
  const date = fc.date({
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59Z"),
    noInvalidDate: true,
  });
  await checkProperty(
    fc.property(date, (value) => {
      expect(formatInstant(parseInstant(value.toISOString()))).toBe(value.toISOString());
    }),
  );
});

test("a bare date is its first or last millisecond", () => {
  const start = parseBareDate("2024-02-29", false);
  const end = parseBareDate("2024-02-29", true);
  expect(start && formatInstant(start)).toBe("2024-02-29T00:00:00.000Z");
  expect(end && formatInstant(end)).toBe("2024-02-29T23:59:59.999Z");
  expect(parseBareDate("2024-02-29T00:00:00Z", true)).toBeUndefined();
  expect(() => parseBareDate("2023-02-29", true)).toThrow("does not exist");
});

test.each([
  ["0s", "0s"],
  ["3.5s", "3.500s"],
  ["-3.500s", "-3.500s"],
  ["1.0101s", "1.010100s"],
  ["60.000000s", "60s"],
  ["-0.000000001s", "-0.000000001s"],
  ["315576000000.999999999s", "315576000000.999999999s"],
  ["-315576000000.999999999s", "-315576000000.999999999s"],
])("duration %s is printed as %s", (text, printed) => {
  expect(formatDuration(parseDuration(text))).toBe(printed);
  expect(parseDuration(printed)).toEqual(parseDuration(text));
});

test("instants and durations that could not be read are not written", () => {
  const outside = 253_402_300_800n;
  for (const [seconds, nanos] of [
    [outside, 0],
    [-62_135_596_801n, 0],
    [2n ** 62n, 0],
    [0n, -1],
    [0n, 1_000_000_000],
  ] as const) {
    expect(() => formatInstant({ seconds, nanos })).toThrow("0001 to 9999");
  }
  for (const [seconds, nanos] of [
    [315_576_000_001n, 0],
    [-(2n ** 62n), 0],
    [1n, -1],
    [-1n, 1],
    [0n, 1_000_000_000],
  ] as const) {
    expect(() => formatDuration({ seconds, nanos })).toThrow("not a duration");
  }
});

test.each(["", "1", "1.s", ".5s", "1.0000000001s", "315576000001s", "5s ", "+1s", "1S"])(
  "duration %s is refused",
  (text) => {
    expect(() => parseDuration(text)).toThrow();
  },
);
