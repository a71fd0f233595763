// Compares summaries with a simple reference implementation of the contract, which sorts all views.
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeViews, encodeView, viewHourOf } from "./page-views.ts";
import { type RecentBehavior, RecentViews } from "./recent-views.ts";

type View = readonly [occurredMs: number, page: string];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW_MS = Date.UTC(2026, 2, 5, 13, 7, 11, 123);

function summarize(views: readonly View[], nowMs = NOW_MS): RecentBehavior {
  const recent = new RecentViews(nowMs);
  for (const [occurredMs, page] of views) recent.add(occurredMs, page);
  return recent.summarize();
}

function reference(views: readonly View[], nowMs: number): RecentBehavior {
  const inside = views
    .filter(([ms]) => ms >= nowMs - 168 * HOUR_MS && ms <= nowMs)
    .toSorted(([a], [b]) => a - b);
  let spentMs = 0;
  for (const [index, [ms]] of inside.entries()) {
    const gap = ms - (inside[index - 1]?.[0] ?? Number.NEGATIVE_INFINITY);
    if (gap < 30 * MINUTE_MS) spentMs += gap;
  }
  const named = Map.groupBy(
    inside.filter(([, page]) => page !== ""),
    ([, page]) => page,
  );
  const [best] = [...named].toSorted(
    ([a, ofA], [b, ofB]) =>
      ofB.length - ofA.length ||
      (ofB.at(-1)?.[0] ?? 0) - (ofA.at(-1)?.[0] ?? 0) ||
      Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
  return {
    pagesViewed: inside.length,
    minutesSpent: Math.floor(spentMs / MINUTE_MS),
    daysActive: Math.min(7, new Set(inside.map(([ms]) => new Date(ms).toISOString().slice(0, 10))).size),
    mostViewedPage: best?.[0],
  };
}

describe("the summary of the last 168 hours", () => {
  test("equals the reference at every instant", async () => {
    const nearEdges = fc.constantFrom(0, 1, -1, 168 * HOUR_MS, 168 * HOUR_MS + 1, 168 * HOUR_MS - 1);
    const ago = fc.oneof(
      fc.integer({ min: -3 * HOUR_MS, max: 200 * HOUR_MS }),
      fc.integer({ min: 0, max: 400 }).map((steps) => steps * 30 * MINUTE_MS),
      fc.integer({ min: 0, max: 20_000 }).map((steps) => steps * MINUTE_MS),
      nearEdges,
    );
    const view = fc
      .tuple(ago, fc.constantFrom("", "a", "b", "B", "ä", "𝒳", "\uffff"))
      .map(([agoMs, page]): View => [NOW_MS - agoMs, page]);
    await checkProperty(
      fc.property(fc.array(view, { maxLength: 60 }), fc.nat(10 * HOUR_MS), (views, laterMs) => {
        expect(summarize(views)).toEqual(reference(views, NOW_MS));
        expect(summarize(views, NOW_MS + laterMs)).toEqual(reference(views, NOW_MS + laterMs));
      }),
      { numRuns: 500 },
    );
  });

  test("is empty without recent views", () => {
    const nothing = { pagesViewed: 0, minutesSpent: 0, daysActive: 0, mostViewedPage: undefined };
    expect(summarize([])).toEqual(nothing);
    expect(
      summarize([
        [NOW_MS - 168 * HOUR_MS - 1, "old"],
        [NOW_MS + 1, "due later"],
      ]),
    ).toEqual(nothing);
  });

  test("includes both ends of the window", () => {
    const views: View[] = [
      [NOW_MS - 168 * HOUR_MS, "a"],
      [NOW_MS, "b"],
    ];
    expect(summarize(views)).toEqual({ pagesViewed: 2, minutesSpent: 0, daysActive: 2, mostViewedPage: "b" });
  });

  test("a gap of 30 minutes ends a session, a millisecond less does not; the sum is floored once", () => {
    const at = (...minutes: number[]): View[] => minutes.map((minute) => [NOW_MS - minute * MINUTE_MS, ""]);
    expect(summarize(at(60, 30)).minutesSpent).toBe(0);
    expect(summarize(at(60, 30 + 1 / MINUTE_MS)).minutesSpent).toBe(29);
    expect(summarize(at(100.5, 100, 10.5, 10)).minutesSpent).toBe(1);
  });

  test("counts UTC days, at most seven", () => {
    const midnight = Date.UTC(2026, 2, 5);
    expect(
      summarize([
        [midnight - 1, ""],
        [midnight, ""],
      ]).daysActive,
    ).toBe(2);
    const everyDay = Array.from(
      { length: 9 },
      (_, day): View => [NOW_MS - day * 24 * HOUR_MS + HOUR_MS * (day > 6 ? 1 : 0), ""],
    );
    expect(summarize(everyDay).daysActive).toBe(7);
  });
});

test("views of an hour are decoded as encoded, for any page name", async () => {
  const start = Date.UTC(1969, 11, 31, 5);
  const view = fc.tuple(
    fc.nat(HOUR_MS - 1).map((ms) => start + ms),
    fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom("", "x".repeat(127), "x".repeat(128), "ö".repeat(70_000)),
    ),
  );
  await checkProperty(
    fc.property(fc.array(view), (views) => {
      const bytes = Buffer.concat(views.map(([ms, page]) => encodeView(ms, page)));
      const read: View[] = [];
      decodeViews(viewHourOf(start), bytes, (ms, page) => read.push([ms, page]));
      expect(read).toEqual(views);
    }),
  );
});
