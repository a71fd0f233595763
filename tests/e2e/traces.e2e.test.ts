// Random rules over random events through whole installations: late, reordered, repeated and future events,
// traits that change, windows of seconds that end while we look. Every answer must be what the raw events say at
// some instant between the question and the answer, by two interpreters that share nothing with the engine or
// with each other. MUSTER_TEST_SEED repeats a run's rules and events.
import { randomInt } from "node:crypto";
import { SeededRandom, systemClock } from "@muster/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMemberByRawEvents } from "../../services/segments/src/engine/brute-force.ts";
import type { Rule } from "../../services/segments/src/engine/rule.ts";
import { decodeRule } from "../../services/segments/src/segments/rule-proto.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { holdsPlainly, type PlainProfile } from "../harness/plain-meaning.ts";
import { runMuster } from "../harness/process.ts";
import {
  COLOURS,
  EVENT_NAMES,
  kindsIn,
  PLANS,
  pick,
  type RuleJson,
  randomRule,
} from "../harness/random-rules.ts";
import { RestClient } from "../harness/rest.ts";

const SEED = Number(process.env.MUSTER_TEST_SEED ?? randomInt(2 ** 31));
const SEGMENTS = 30;
const PROFILES = 30;
const ROUNDS = 6;
const EVENTS_PER_ROUND = 45;
/** After the last event: all windows, futures and waits are over by then. */
const QUIET_MS = 9000;
const DAY_MS = 24 * 60 * 60 * 1000;

interface Sent {
  readonly user_id: string;
  readonly name: string;
  readonly timestamp: string;
  readonly event_id: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

interface TracedSegment {
  readonly id: string;
  readonly json: RuleJson;
  readonly rule: Rule;
}

class TraceRun {
  readonly #rest: RestClient;
  readonly #random: SeededRandom;
  readonly segments: TracedSegment[] = [];
  /** By user; each event once, however often it was sent. */
  readonly events = new Map<string, Map<string, Sent>>();
  answers = 0;

  constructor(rest: RestClient, random: SeededRandom) {
    this.#rest = rest;
    this.#random = random;
  }

  /** Some profiles are made before they do anything, and may never do anything. */
  async addProfiles(): Promise<void> {
    for (let index = 0; index < PROFILES; index += 2) {
      const body = { user_id: `user ${index}`, traits: this.#traits() };
      expect((await this.#rest.post("/v1/profiles", body)).status).toBe(201);
    }
  }

  #traits(): RuleJson {
    const random = this.#random;
    return {
      ...(random.chance(0.8) && { plan: pick(random, PLANS) }),
      ...(random.chance(0.8) && { age: random.integer(20, 40) }),
    };
  }

  async changeTraits(count: number): Promise<void> {
    const profiles = await this.#rest.all("/v1/profiles", "profiles");
    for (let change = 0; change < count; change += 1) {
      const { id } = pick(this.#random, profiles);
      const answer = await this.#rest.request("PATCH", `/v1/profiles/${id}`, { traits: this.#traits() });
      expect(answer.status, answer.text).toBe(200);
    }
  }

  async addSegment(): Promise<void> {
    const segmentIds = this.segments.map(({ id }) => id);
    const json = randomRule({ random: this.#random, nowMs: systemClock.nowMs(), segmentIds });
    const name = `Trace ${this.segments.length}`;
    const made = await this.#rest.post("/v1/segments", { name, rule: json });
    expect(made.status, `${JSON.stringify(json)}: ${made.text}`).toBe(201);
    this.segments.push({ id: made.body.id, json, rule: decodeRule(JSON.stringify(storedForm(json))) });
  }

  async send(count: number): Promise<void> {
    const known = [...this.events.values()].flatMap((own) => [...own.values()]);
    const events = Array.from({ length: count }, (_, index) =>
      known.length > 0 && this.#random.chance(0.08)
        ? pick(this.#random, known)
        : this.#newEvent(known.length + index),
    );
    const answer = await this.#rest.post("/v1/events:batch", { events });
    expect(answer.status, answer.text).toBe(200);
    for (const { status } of answer.body.results) expect(["stored", "duplicate"]).toContain(status);
    for (const event of events) {
      const own = this.events.get(event.user_id) ?? new Map<string, Sent>();
      this.events.set(event.user_id, own.set(event.event_id, event));
    }
  }

  #newEvent(index: number): Sent {
    const random = this.#random;
    const nowMs = systemClock.nowMs();
    const ms = pick(random, [
      nowMs,
      nowMs - random.integer(0, 200),
      nowMs - random.integer(0, 12_000),
      nowMs - random.integer(0, 4 * DAY_MS),
      nowMs + random.integer(0, 5000),
      // On the second, where several meet.
      Math.floor(nowMs / 1000) * 1000,
    ]);
    return {
      user_id: `user ${random.integer(0, PROFILES - 1)}`,
      name: pick(random, EVENT_NAMES),
      timestamp: new Date(ms).toISOString(),
      event_id: `event ${index} ${random.integer(0, 1e9)}`,
      properties: { colour: pick(random, COLOURS), price: random.integer(0, 10) },
    };
  }

  /** Every member of every segment, against the truth between the question and the answer. */
  async check(): Promise<void> {
    const profiles = await this.#profiles();
    for (const segment of this.segments) {
      const fromMs = systemClock.nowMs();
      const members = await this.#rest.all(`/v1/segments/${segment.id}/profiles`, "profiles");
      const untilMs = systemClock.nowMs();
      const found = new Set(members.map(({ user_id }) => user_id));
      expect(found.size).toBe(members.length);
      for (const [user, profile] of profiles) {
        this.answers += 1;
        if (this.#wasEver(segment, profile, found.has(user), fromMs, untilMs)) continue;
        const said = found.has(user) ? "a member" : "no member";
        const rules = this.#rulesOf(segment.json).map((rule) => JSON.stringify(rule));
        expect.fail(
          `seed ${SEED}: ${user} is ${said} between ${fromMs} and ${untilMs} of\n${rules.join("\n")}` +
            `\n${JSON.stringify(profile, null, 1)}`,
        );
      }
    }
  }

  /** By user. What they did is what we sent; what they are is asked for. */
  async #profiles(): Promise<Map<string, PlainProfile>> {
    const stored = await this.#rest.all("/v1/profiles", "profiles");
    return new Map(
      stored.map(({ user_id, create_time, traits }) => {
        const events = [...(this.events.get(user_id)?.values() ?? [])].map(
          ({ name, timestamp, properties }) => ({
            ...{ name, properties, ms: Date.parse(timestamp) },
          }),
        );
        return [user_id, { createMs: Date.parse(create_time), traits, events }];
      }),
    );
  }

  #wasEver(
    { json, rule }: TracedSegment,
    profile: PlainProfile,
    member: boolean,
    fromMs: number,
    untilMs: number,
  ): boolean {
    const raw = profile.events.map(({ name, ms, properties }) => ({
      ...{ eventName: name, ms, properties: JSON.stringify(properties) },
    }));
    const ruleOf = (id: string) => this.segments.find((segment) => segment.id === id);
    const surroundings = {
      createMs: profile.createMs,
      traits: JSON.stringify(profile.traits),
      ruleOf: (id: string) => ruleOf(id)?.rule,
    };
    for (let ms = untilMs; ms >= fromMs; ms -= 1) {
      const truth = isMemberByRawEvents(rule, raw, ms, surroundings);
      const plain = holdsPlainly(json, profile, ms, (id) => ruleOf(id)?.json);
      if (truth !== plain) {
        expect.fail(
          `seed ${SEED}: two meanings of ${JSON.stringify(json)} at ${ms}: ${JSON.stringify(profile)}`,
        );
      }
      if (truth === member) return true;
    }
    return false;
  }

  /** The rule, and those of the segments that it names. */
  #rulesOf(json: RuleJson): RuleJson[] {
    const text = JSON.stringify(json);
    const named = this.segments.filter(({ id }) => text.includes(id));
    return [json, ...named.flatMap((segment) => this.#rulesOf({ ...segment.json }))];
  }
}

/** As the product stores it: enum values by their names in the proto. */
function storedForm(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(storedForm);
  if (typeof json !== "object" || json === null) return json;
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      if (key === "function" || key === "which") return [key, `${key}_${value}`.toUpperCase()];
      return [key, storedForm(value)];
    }),
  );
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await startInstallation(mode);
  });
  afterAll(async () => installation?.stop());

  test(`random rules over random events, seed ${SEED}`, { timeout: 120_000 }, async () => {
    const run = new TraceRun(new RestClient(installation), new SeededRandom(SEED));
    // Half of the segments meet the events live, half count them afterwards.
    await run.addProfiles();
    while (run.segments.length < SEGMENTS / 2) await run.addSegment();
    let early: Promise<void> | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      await run.send(EVENTS_PER_ROUND);
      // Beside the events that follow.
      early ??= expectCleanAudit(installation, /0 mismatches/);
      // Awaited below; should something fail before, that is the news.
      early.catch(() => {});
      await run.changeTraits(4);
      await run.check();
      if (round >= ROUNDS / 2) {
        for (let more = 0; more < SEGMENTS / ROUNDS; more += 1) await run.addSegment();
      }
    }
    const quietMs = systemClock.nowMs() + QUIET_MS;
    while (systemClock.nowMs() < quietMs) {
      await run.check();
      await systemClock.sleep(200);
    }
    const kinds = new Set(run.segments.flatMap(({ json }) => kindsIn(json)));
    expect(kinds.size).toBeGreaterThan(7);
    expect(run.answers).toBeGreaterThan(SEGMENTS * PROFILES * ROUNDS);

    await early;
    await expectCleanAudit(installation, /^(\d+) of \1 profiles, \d+ memberships: 0 mismatches, 0 unsettled/);
  });
});

async function expectCleanAudit(installation: Installation, summary: RegExp): Promise<void> {
  const audit = await runMuster(["audit-segments", "--seed", "1"], installation.variables);
  expect(audit.stdout + audit.stderr).toMatch(summary);
  expect(audit.code).toBe(0);
}
