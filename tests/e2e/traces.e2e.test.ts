// Random rules over random events through whole installations: late, reordered, repeated and future events,
// windows of seconds that end while we look. Every answer must be what a brute-force evaluation of the events
// says, at some instant between the question and the answer. MUSTER_TEST_SEED repeats a run's rules and events.
import { randomInt } from "node:crypto";
import { fromJson } from "@bufbuild/protobuf";
import { RuleSchema } from "@muster/contracts/muster/segments/v1/rule_pb";
import { SeededRandom, systemClock } from "@muster/core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMemberByRawEvents } from "../../services/segments/src/engine/brute-force.ts";
import type { Rule } from "../../services/segments/src/engine/rule.ts";
import { decodeRule } from "../../services/segments/src/segments/rule-proto.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { runMuster } from "../harness/process.ts";
import { COLOURS, EVENT_NAMES, pick, type RuleJson, randomRule } from "../harness/random-rules.ts";
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

  async addSegment(): Promise<void> {
    const json = this.#knownRule();
    const name = `Trace ${this.segments.length}`;
    const made = await this.#rest.post("/v1/segments", { name, rule: json });
    expect(made.status, `${JSON.stringify(json)}: ${made.text}`).toBe(201);
    this.segments.push({ id: made.body.id, json, rule: decodeRule(JSON.stringify(json)) });
  }

  #knownRule(): RuleJson {
    const kinds = RuleSchema.fields.map(({ name }) => name);
    for (;;) {
      const segmentIds = this.segments.map(({ id }) => id);
      const json = randomRule({ random: this.#random, kinds, nowMs: systemClock.nowMs(), segmentIds });
      try {
        fromJson(RuleSchema, json as Parameters<typeof fromJson>[1]);
        return json;
      } catch {}
    }
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
    for (const segment of this.segments) {
      const fromMs = systemClock.nowMs();
      const members = await this.#rest.all(`/v1/segments/${segment.id}/profiles`, "profiles");
      const untilMs = systemClock.nowMs();
      const found = new Set(members.map(({ user_id }) => user_id));
      expect(found.size).toBe(members.length);
      for (const user of this.events.keys()) {
        this.answers += 1;
        if (this.#wasEver(segment.rule, user, found.has(user), fromMs, untilMs)) continue;
        const said = found.has(user) ? "a member" : "no member";
        expect.fail(
          `seed ${SEED}: ${user} is ${said} between ${fromMs} and ${untilMs} of ${JSON.stringify(segment.json)}` +
            `\n${JSON.stringify([...(this.events.get(user)?.values() ?? [])], null, 1)}`,
        );
      }
    }
  }

  #wasEver(rule: Rule, user: string, member: boolean, fromMs: number, untilMs: number): boolean {
    const raw = [...(this.events.get(user)?.values() ?? [])].map((event) => ({
      id: event.event_id,
      eventName: event.name,
      ms: Date.parse(event.timestamp),
      properties: JSON.stringify(event.properties),
    }));
    for (let ms = untilMs; ms >= fromMs; ms -= 1) {
      if (isMemberByRawEvents(rule, raw, ms) === member) return true;
    }
    return false;
  }
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
    while (run.segments.length < SEGMENTS / 2) await run.addSegment();
    let early: Promise<void> | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      await run.send(EVENTS_PER_ROUND);
      // Beside the events that follow.
      early ??= expectCleanAudit(installation, /0 mismatches/);
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
