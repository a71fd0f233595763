// Tests pages of top logins while counts grow and days pass, large days, and the purge.
import type { OrganizationId, UserId } from "@muster/core";
import { randomIds, shardOf } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { countLogins } from "../../src/login-counts/count-logins.ts";
import { eraseLogins } from "../../src/login-counts/erase-logins.ts";
import { DAY_MS, dayOf } from "../../src/login-counts/login-window.ts";
import { LoginHarness, type Ranked, type TopLoginsPage } from "./login-harness.ts";

describe.each(ENGINES)("top logins on %s", (engine) => {
  let harness: LoginHarness;
  beforeEach(async () => {
    harness = await LoginHarness.open(engine);
    await harness.addReplica();
  });
  afterEach(() => harness.close());

  const now = (): number => harness.clock.nowMs();
  const logIn = async (organizationId: OrganizationId, userId: UserId, times: number, ageDays = 0) => {
    for (let time = 0; time < times; time += 1)
      await harness.login(organizationId, userId, now() - ageDays * DAY_MS);
  };
  const counted = (userIds: readonly UserId[], counts: readonly number[]): Ranked[] =>
    counts.map((logins, index) => ({ userId: userIds[index] ?? "", logins }));

  test("later pages show the state of the first page while counts grow", async () => {
    const { organizationId, userIds } = await harness.organization(4);
    const [a, b, c, d] = userIds as [UserId, UserId, UserId, UserId];
    for (const [index, userId] of userIds.entries()) await logIn(organizationId, userId, 4 - index);
    const first = await harness.topLogins(organizationId, { pageSize: 1 });
    expect(first.rows).toEqual([{ userId: a, logins: 4 }]);
    // The last user overtakes all.
    await logIn(organizationId, d, 9);
    await logIn(organizationId, b, 1);
    await harness.applied();
    const rest = await pagesAfter(organizationId, first, 1);
    expect(rest.flatMap(({ rows }) => rows)).toEqual(counted([b, c, d], [3, 2, 1]));
    expect(new Set(rest.map(({ asOfMs }) => asOfMs))).toEqual(new Set([first.asOfMs]));
    const anew = await harness.topLogins(organizationId, {});
    expect(anew.rows).toEqual(counted([d, a, b, c], [10, 4, 4, 2]));
  });

  test("later pages show the dates of the first page after midnight", async () => {
    const { organizationId, userIds } = await harness.organization(3);
    const [a, b, c] = userIds as [UserId, UserId, UserId];
    await logIn(organizationId, a, 3, 6);
    await logIn(organizationId, b, 2);
    await logIn(organizationId, c, 1, 6);
    const first = await harness.topLogins(organizationId, { pageSize: 1 });
    harness.clock.setNowMs(now() + DAY_MS);
    // Before and after the windows advance.
    const before = await harness.topLogins(organizationId, {});
    expect(before.rows).toEqual(counted([b], [2]));
    harness.wake();
    await waitFor(async () => (await harness.rows("login_totals")).length === 4);
    expect((await harness.topLogins(organizationId, {})).rows).toEqual(counted([b], [2]));
    const rest = await pagesAfter(organizationId, first, 2);
    expect(rest.flatMap(({ rows }) => rows)).toEqual(counted([b, c], [2, 1]));
  });

  test("logins that two processes apply twice at once around midnight count once, on their dates", async () => {
    const { organizationId, userIds } = await harness.organization(1);
    const userId = userIds[0] as UserId;
    const midnight = (dayOf(now()) + 1) * DAY_MS;
    const logInTwice = async (timeMs: number) => {
      const id = randomIds.next(timeMs);
      const login = () => harness.login(organizationId, userId, timeMs, id);
      await Promise.all([login(), login()]);
    };
    harness.clock.setNowMs(midnight - 1);
    await logInTwice(midnight - 1);
    // Takes every shard, while the first process still works.
    const taken = harness.addReplica({ exclusive: true });
    harness.clock.setNowMs(midnight);
    harness.wake();
    // The last login arrives after its date has ended.
    await Promise.all([midnight, midnight + 1, midnight - 2].map(logInTwice));
    await taken;
    harness.wake();
    const stats = await harness.stats(organizationId, "7d");
    expect(stats.slice(-2).map(({ logins, users }) => [logins, users])).toEqual([
      [2, 1],
      [2, 1],
    ]);
    expect((await harness.topLogins(organizationId, {})).rows).toEqual([{ userId, logins: 4 }]);
    const events = await harness.rows("login_events");
    expect(events).toHaveLength(4);
  });

  test("a date of many logins leaves a window in several steps, across crashes", async () => {
    const { organizationId, userIds } = await harness.organization(2);
    const userId = userIds[0] as UserId;
    const shard = shardOf(organizationId, userId);
    const day = dayOf(now());
    // Positions before every message of the consumer.
    const login = (position: number) => ({
      organizationId,
      userId,
      loginId: randomIds.next(now()),
      day,
      shard,
      position,
      timeMs: now(),
    });
    const logins = Array.from({ length: 1_200 }, (_, index) => login(index - 1_200));
    await harness.stored.database.transaction((trx) => countLogins(trx, logins, day));
    expect((await harness.topLogins(organizationId, {})).rows).toEqual([{ userId, logins: 1_200 }]);
    harness.clock.setNowMs(now() + 7 * DAY_MS);
    harness.replicas[0]?.crashes.crashes.push("after", "before", "no", "conflict", "after");
    harness.wake();
    await waitFor(async () => (await harness.rows("login_totals")).length === 1);
    expect((await harness.topLogins(organizationId, {})).rows).toEqual([]);
    const month = await harness.topLogins(organizationId, { window: "30d" });
    expect(month.rows).toEqual([{ userId, logins: 1_200 }]);
  });

  test("logins and daily counts go after 90 days", async () => {
    const { organizationId, userIds } = await harness.organization(2);
    const [a, b] = userIds as [UserId, UserId];
    await logIn(organizationId, a, 3);
    await logIn(organizationId, b, 1);
    await harness.applied();
    for (const days of [90, 1]) {
      expect(await harness.rows("login_events")).toHaveLength(4);
      harness.clock.setNowMs(now() + days * DAY_MS);
      harness.wake();
      await waitFor(async () => (await harness.rows("login_totals")).length === 0);
    }
    await waitFor(async () => {
      harness.wake();
      return (await harness.rows("login_events")).length === 0;
    });
    expect(await harness.rows("login_daily")).toEqual([]);
  });

  test("the logins of a person are erased from one organization in steps", async () => {
    const { organizationId, userIds } = await harness.organization(2);
    const [a, b] = userIds as [UserId, UserId];
    const shard = shardOf(organizationId, a);
    const day = dayOf(now());
    const loginOfA = { organizationId, userId: a, day, shard, timeMs: now() };
    const logins = Array.from({ length: 501 }, (_, index) => ({
      ...loginOfA,
      loginId: randomIds.next(now()),
      position: index - 501,
    }));
    await harness.stored.database.transaction((trx) => countLogins(trx, logins, day));
    await logIn(organizationId, b, 2);
    const step = () =>
      harness.stored.database.transaction((trx) => eraseLogins(trx, { organizationId, userId: a }));
    expect(await step()).toEqual({ removed: 500, hasMore: true });
    expect((await harness.topLogins(organizationId, {})).rows).toEqual(counted([b], [2]));
    expect(await step()).toEqual({ removed: 1, hasMore: false });
    expect(await harness.rows("login_events")).toHaveLength(2);
    const { logins: ofToday } = (await harness.stats(organizationId, "7d")).at(-1) ?? {};
    expect(ofToday).toBe(503);
  });

  test("a token of another window, of another organization, and a garbled one are refused", async () => {
    const { organizationId, userIds } = await harness.organization(2);
    for (const userId of userIds) await logIn(organizationId, userId, 1);
    const { nextPageToken } = await harness.topLogins(organizationId, { pageSize: 1 });
    const other = await harness.organization(1);
    for (const call of [
      harness.topLogins(organizationId, { window: "30d", pageToken: nextPageToken }),
      harness.topLogins(other.organizationId, { pageToken: nextPageToken }),
      harness.topLogins(organizationId, { pageToken: `${nextPageToken}x` }),
    ])
      await expectReason(call, "PAGE_TOKEN_INVALID");
  });

  async function pagesAfter(
    organizationId: OrganizationId,
    first: TopLoginsPage,
    pageSize: number,
  ): Promise<TopLoginsPage[]> {
    const pages: TopLoginsPage[] = [];
    let pageToken = first.nextPageToken;
    while (pageToken !== "") {
      const page = await harness.topLogins(organizationId, { pageSize, pageToken });
      pages.push(page);
      pageToken = page.nextPageToken;
    }
    return pages;
  }
});
