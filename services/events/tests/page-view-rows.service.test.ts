// Tests the rows of page views: single views keep rows small, and an hour under removal accepts new views.
import {
  type OrganizationId,
  type ProfileId,
  randomIds,
  systemClock,
  type TrackedEventId,
  uuidToBytes,
  WorkBudget,
} from "@muster/core";
import { ENGINES, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { addPageViews, visitPageViews } from "../src/behavior/page-view-store.ts";
import type { TrackedEvent } from "../src/event-storage/tracked-event.ts";
import { eventsModule } from "../src/module.ts";

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 2, 1, 9);

describe.each(ENGINES)("rows of page views on %s", (engine) => {
  let stored: TestDatabase;
  const organizationId = randomIds.next<OrganizationId>(0);

  beforeAll(async () => {
    stored = await openTestDatabase(engine, eventsModule.migrations);
  });
  afterAll(() => stored.close());

  const viewOf = (profileId: ProfileId, nth: number): TrackedEvent => ({
    organizationId,
    profileId,
    rootId: profileId,
    name: "page.viewed",
    clientEventId: undefined,
    id: randomIds.next<TrackedEventId>(START_MS + nth),
    occurredMs: START_MS + nth,
    receivedMs: START_MS + nth,
    properties: JSON.stringify({ name: `Page ${nth} with a name of forty characters or so` }),
  });
  /** Adds views one by one, as single posts do. */
  const add = (profileId: ProfileId, from: number, to: number) =>
    stored.database.transaction(async (trx) => {
      for (let nth = from; nth < to; nth += 1) await addPageViews(trx, [viewOf(profileId, nth)], nth);
    });
  const instantsOf = async (profileId: ProfileId) => {
    const found: number[] = [];
    const range = { fromMs: START_MS, toMs: START_MS + HOUR_MS };
    await visitPageViews(stored.database.reader, organizationId, [profileId], range, {
      visit: (occurredMs) => found.push(occurredMs - START_MS),
      budget: WorkBudget.inSlices({ clock: systemClock }),
    });
    return found.sort((a, b) => a - b);
  };
  const rowsOf = (profileId: ProfileId) =>
    stored.database.reader("page_view_hours").where("profile_id", uuidToBytes(profileId));

  test("stay small when views arrive one by one", async () => {
    const profileId = randomIds.next<ProfileId>(1);
    await add(profileId, 0, 1200);
    expect(await instantsOf(profileId)).toEqual(Array.from({ length: 1200 }, (_, nth) => nth));
    const rows = await rowsOf(profileId).select<{ part: number; views: Buffer; size_bytes: number }[]>(
      "part",
      "views",
      "size_bytes",
    );
    expect(rows.length).toBeGreaterThan(3);
    for (const { views, size_bytes } of rows) {
      expect(views.length).toBe(Number(size_bytes));
      // Every sixteenth append checks the row, so a row can exceed the limit by that many views.
      expect(views.length).toBeLessThan(16_384 + 16 * 60);
    }
  });

  test("accept late views for an hour whose removal has begun", async () => {
    const profileId = randomIds.next<ProfileId>(1);
    await add(profileId, 0, 700);
    await stored.database.transaction((trx) =>
      trx("page_view_hours")
        .where({ profile_id: uuidToBytes(profileId), part: 0 })
        .delete(),
    );
    await add(profileId, 1000, 1700);
    expect(await instantsOf(profileId)).toEqual(Array.from({ length: 700 }, (_, nth) => 1000 + nth));
  });
});
