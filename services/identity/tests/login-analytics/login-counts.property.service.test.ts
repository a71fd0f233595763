// Tests random logins, dates, crashes and replicas against a naive count.
import type { OrganizationId, UserId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { checkProperty, propertyTimeoutMs } from "@muster/testkit/check-property";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DAY_MS, dateOf, dayOf } from "../../src/login-counts/login-window.ts";
import { LoginHarness, type Ranked } from "./login-harness.ts";

const USERS = 6;
/** The user at this index is no member. */
const STRANGER = 5;
const WINDOWS = { "7d": 7, "30d": 30 };
type Window = keyof typeof WINDOWS;

type Step =
  | { readonly kind: "login"; readonly user: number; readonly ageDays: number; readonly times: number }
  | { readonly kind: "repeat"; readonly login: number }
  | { readonly kind: "days"; readonly days: number; readonly wakes: boolean }
  | {
      readonly kind: "crash";
      readonly replica: number;
      readonly crashes: ("before" | "after" | "conflict")[];
    }
  | { readonly kind: "takeover" }
  | { readonly kind: "wake" }
  | { readonly kind: "walk"; readonly window: Window; readonly between: readonly Step[] };

const user = fc.nat({ max: USERS - 1 });
const ageDays = fc.oneof(fc.constant(0), fc.nat({ max: 40 }));
const login = fc.record({
  kind: fc.constant("login" as const),
  user,
  ageDays,
  times: fc.integer({ min: 1, max: 3 }),
});
const days = fc.record({
  kind: fc.constant("days" as const),
  days: fc.constantFrom(1, 1, 2, 6, 7, 29, 45),
  wakes: fc.boolean(),
});
const window = fc.constantFrom<Window>("7d", "30d");
const crash = fc.constantFrom("before" as const, "after" as const, "conflict" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: login },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("repeat" as const), login: fc.nat({ max: 50 }) }) },
  { weight: 4, arbitrary: days },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("crash" as const),
      replica: fc.nat({ max: 2 }),
      crashes: fc.array(crash, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: "takeover" }) },
  { weight: 2, arbitrary: fc.constant<Step>({ kind: "wake" }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("walk" as const),
      window,
      between: fc.array(fc.oneof({ weight: 4, arbitrary: login }, { weight: 1, arbitrary: days }), {
        maxLength: 3,
      }),
    }),
  },
);

interface Login {
  readonly id: string;
  readonly userId: UserId;
  readonly day: number;
}

/** An organization with all logins, counted in the plainest way. */
class Case {
  readonly #harness: LoginHarness;
  readonly #organizationId: OrganizationId;
  readonly #userIds: readonly UserId[];
  readonly #logins: Login[] = [];

  constructor(harness: LoginHarness, organizationId: OrganizationId, userIds: readonly UserId[]) {
    this.#harness = harness;
    this.#organizationId = organizationId;
    this.#userIds = userIds;
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of steps) await this.#run(one);
    for (const window of ["7d", "30d"] as const) {
      await this.#walk(window, []);
      await this.#checkStats(window);
    }
  }

  async #run(one: Step): Promise<void> {
    const { clock, replicas } = this.#harness;
    switch (one.kind) {
      case "login":
        for (let time = 0; time < one.times; time += 1) await this.#login(one.user, one.ageDays);
        return;
      case "repeat":
        return this.#repeat(one.login);
      case "days":
        clock.setNowMs(clock.nowMs() + one.days * DAY_MS);
        if (one.wakes) this.#harness.wake();
        return;
      case "crash":
        replicas[one.replica % replicas.length]?.crashes.crashes.push(...one.crashes);
        return;
      case "takeover":
        await this.#harness.addReplica({ exclusive: true });
        if (replicas.length > 3) await this.#harness.stopOldest();
        return;
      case "wake":
        this.#harness.wake();
        return;
      case "walk":
        await this.#walk(one.window, one.between);
        await this.#checkStats(one.window);
    }
  }

  async #login(index: number, ageDays: number): Promise<void> {
    const userId = this.#userIds[index] as UserId;
    const timeMs = this.#harness.clock.nowMs() - ageDays * DAY_MS;
    const id = await this.#harness.login(this.#organizationId, userId, timeMs);
    this.#logins.push({ id, userId, day: dayOf(timeMs) });
  }

  async #repeat(index: number): Promise<void> {
    const known = this.#logins[index % Math.max(1, this.#logins.length)];
    if (known === undefined) return;
    await this.#harness.login(this.#organizationId, known.userId, known.day * DAY_MS, known.id);
  }

  /** The pages of a walk show the state of the first page. */
  async #walk(window: Window, between: readonly Step[]): Promise<void> {
    const expected = this.#ranking(window);
    const rows: Ranked[] = [];
    const times = new Set<number>();
    for (let pageToken = "", isFirst = true; isFirst || pageToken !== ""; isFirst = false) {
      if (!isFirst) {
        for (const one of between) await this.#run(one);
        await this.#harness.applied();
      }
      const page = await this.#harness.topLogins(this.#organizationId, { window, pageSize: 2, pageToken });
      rows.push(...page.rows);
      times.add(page.asOfMs);
      pageToken = page.nextPageToken;
    }
    expect(rows).toEqual(expected);
    expect(times.size).toBe(1);
  }

  #ranking(window: Window): Ranked[] {
    const counted = this.#inWindow(window);
    return this.#userIds
      .filter((_, index) => index !== STRANGER)
      .map((userId) => ({ userId, logins: counted.filter((one) => one.userId === userId).length }))
      .filter(({ logins }) => logins > 0)
      .sort((a, b) => b.logins - a.logins || (a.userId < b.userId ? -1 : 1));
  }

  #inWindow(window: Window): Login[] {
    const today = dayOf(this.#harness.clock.nowMs());
    return this.#logins.filter(({ day }) => day > today - WINDOWS[window] && day <= today);
  }

  async #checkStats(window: Window): Promise<void> {
    const today = dayOf(this.#harness.clock.nowMs());
    const counted = this.#inWindow(window);
    const expected = Array.from({ length: WINDOWS[window] }, (_, index) => {
      const day = today - WINDOWS[window] + 1 + index;
      const ofDay = counted.filter((one) => one.day === day);
      return { date: dateOf(day), logins: ofDay.length, users: new Set(ofDay.map((one) => one.userId)).size };
    });
    expect(await this.#harness.stats(this.#organizationId, window)).toEqual(expected);
  }
}

describe.each(ENGINES)("login counts on %s", (engine) => {
  let harness: LoginHarness;
  beforeAll(async () => {
    harness = await LoginHarness.open(engine);
    await harness.addReplica();
    await harness.addReplica();
  }, 60_000);
  afterAll(() => harness.close());

  test("equal a naive count at every read", { timeout: propertyTimeoutMs(120_000) }, async () => {
    await checkProperty(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const { organizationId, userIds } = await harness.organization(USERS, [STRANGER]);
        await new Case(harness, organizationId, userIds).run(steps);
      }),
      { numRuns: 15 },
    );
  });
});
