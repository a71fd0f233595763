// Tests calendar days of named time zones: clock changes, skipped midnights, skipped days.
import { describe, expect, test } from "vitest";
import { dayOf, startOfDay } from "./time-zone.ts";

const HOUR_MS = 3_600_000;
const dayNumber = (date: string) => Date.parse(`${date}T00:00:00Z`) / (24 * HOUR_MS);
const startOf = (timeZone: string, date: string) =>
  new Date(startOfDay(timeZone, dayNumber(date))).toISOString();

describe("days begin", () => {
  test.each([
    { timeZone: "UTC", date: "2026-03-29", start: "2026-03-29T00:00:00.000Z" },
    { timeZone: "Europe/Berlin", date: "2026-03-29", start: "2026-03-28T23:00:00.000Z" },
    { timeZone: "Europe/Berlin", date: "2026-03-30", start: "2026-03-29T22:00:00.000Z" },
    { timeZone: "Europe/Berlin", date: "2026-10-26", start: "2026-10-25T23:00:00.000Z" },
    { timeZone: "Pacific/Kiritimati", date: "2026-01-01", start: "2025-12-31T10:00:00.000Z" },
    { timeZone: "Asia/Kathmandu", date: "2026-01-01", start: "2025-12-31T18:15:00.000Z" },
    // Midnight is skipped: the day begins at one o'clock.
    { timeZone: "America/Santiago", date: "2026-09-06", start: "2026-09-06T04:00:00.000Z" },
    // Samoa crossed the date line: the 30th began and ended where the 31st began.
    { timeZone: "Pacific/Apia", date: "2011-12-30", start: "2011-12-30T10:00:00.000Z" },
    { timeZone: "Pacific/Apia", date: "2011-12-31", start: "2011-12-30T10:00:00.000Z" },
  ])("$date in $timeZone at $start", ({ timeZone, date, start }) => {
    expect(startOf(timeZone, date)).toBe(start);
  });
});

test.each(["UTC", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Pacific/Apia"])(
  "in %s every instant is in the day that its calendar shows, to the millisecond around each start",
  (timeZone) => {
    const format = new Intl.DateTimeFormat("sv-SE", { timeZone });
    for (let day = dayNumber("2011-12-25"); day < dayNumber("2013-01-05"); day += 1) {
      for (const ms of [startOfDay(timeZone, day), startOfDay(timeZone, day) - 1]) {
        expect(dayOf(timeZone, ms)).toBe(dayNumber(format.format(ms)));
      }
    }
  },
);
