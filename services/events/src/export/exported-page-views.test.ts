// Tests that each page view is in exactly one record, for any number of views and any length of names.
import { expect, test } from "vitest";
import { encodeView } from "../behavior/page-views.ts";
import { viewRecordsOf } from "./exported-page-views.ts";

const hour = { day: 1, hour: 1 };
const startMs = 25 * 3_600_000;

test("few views make one record, and no views make none", () => {
  const views = Buffer.concat([encodeView(startMs + 5, "b"), encodeView(startMs + 4, "")]);
  expect(viewRecordsOf(hour, views)).toEqual([
    [
      { occurredMs: startMs + 5, page: "b" },
      { occurredMs: startMs + 4, page: "" },
    ],
  ]);
  expect(viewRecordsOf(hour, Buffer.alloc(0))).toEqual([]);
});

test("many views make several records, in order", () => {
  const sent = Array.from({ length: 5000 }, (_, index) => ({
    occurredMs: startMs + index,
    page: "x".repeat(index % 300 === 7 ? 100_000 : index % 50),
  }));
  const views = Buffer.concat(sent.map(({ occurredMs, page }) => encodeView(occurredMs, page)));
  const records = viewRecordsOf(hour, views);
  expect(records.flat()).toEqual(sent);
  for (const record of records) {
    const characters = record.reduce((sum, { page }) => sum + page.length + 64, 0);
    expect(record.length === 1 || characters <= 64 * 1024).toBe(true);
  }
});
