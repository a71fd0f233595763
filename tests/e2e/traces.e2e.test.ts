// Runs random rules over random events through whole installations. Events are late, reordered, repeated or
// in the future; traits change; windows of seconds end during the test; profiles are merged, split and
// erased; segments are edited and deleted. Every response must match the raw events at some instant between
// request and response. Two interpreters check this, which share no code with the engine or with each other.
// MUSTER_TEST_SEED repeats a run's rules and events.
import { SeededRandom, systemClock } from "@muster/core";
import { testSeed } from "@muster/testkit/check-property";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isMemberByRawEvents } from "../../services/segments/src/engine/reference/reference-evaluator.ts";
import type { Rule } from "../../services/segments/src/engine/rule/rule.ts";
import { decodeRule } from "../../services/segments/src/rules/rule-proto.ts";
import { IdentityGraphModel, type SentEvent } from "../harness/identity-graph-model.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { runMuster } from "../harness/process.ts";
import {
  COLORS,
  EVENT_NAMES,
  kindsIn,
  PLANS,
  pick,
  type RuleJson,
  randomRule,
} from "../harness/random-rule-json.ts";
import { type ReferenceProfile, referenceMatches } from "../harness/reference-evaluator.ts";
import { RestClient } from "../harness/rest.ts";

const SEED = testSeed();
const SEGMENTS = 30;
const PROFILES = 30;
const ROUNDS = 6;
const EVENTS_PER_ROUND = 45;
/** Time after the last event when all windows, future events and waits are over. */
const QUIET_MS = 9000;
const DAY_MS = 24 * 60 * 60 * 1000;

interface TracedRule {
  readonly json: RuleJson;
  readonly rule: Rule;
}

interface TracedSegment extends TracedRule {
  readonly id: string;
}

/**
 * Rules that may determine the members: the current rules, or the current rules with one of them as before
 * its last edit.
 */
type World = (segmentId: string) => TracedRule | undefined;

class TraceRun {
  readonly #rest: RestClient;
  readonly #random: SeededRandom;
  readonly segments: TracedSegment[] = [];
  readonly #identities = new IdentityGraphModel();
  /** The profile of each user. */
  readonly #profileIds = new Map<string, string>();
  #edited: TracedSegment | undefined;
  #made = 0;
  responses = 0;

  constructor(rest: RestClient, random: SeededRandom) {
    this.#rest = rest;
    this.#random = random;
  }

  /** Some profiles are created before their first event, and may never have an event. */
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
      const response = await this.#rest.request("PATCH", `/v1/profiles/${id}`, { traits: this.#traits() });
      expect(response.status, response.text).toBe(200);
    }
  }

  async addSegment(): Promise<void> {
    const segmentIds = this.segments.map(({ id }) => id);
    const json = randomRule({ random: this.#random, nowMs: systemClock.nowMs(), segmentIds });
    this.#made += 1;
    const name = `Trace ${this.#made}`;
    const made = await this.#rest.post("/v1/segments", { name, rule: json });
    expect(made.status, `${JSON.stringify(json)}: ${made.text}`).toBe(201);
    this.segments.push({ id: made.body.id, ...tracedRule(json) });
  }

  /** Replaces a rule; the new rule refers only to older segments. An edit ends before the next begins. */
  async editSegment(): Promise<void> {
    if (await this.#isEditing()) return;
    const random = this.#random;
    const index = random.integer(0, this.segments.length - 1);
    const before = this.segments[index];
    if (before === undefined) return;
    const segmentIds = this.segments.slice(0, index).map(({ id }) => id);
    const json = randomRule({ random, nowMs: systemClock.nowMs(), segmentIds });
    const edited = await this.#rest.request("PATCH", `/v1/segments/${before.id}`, { rule: json });
    expect(edited.status, `${JSON.stringify(json)}: ${edited.text}`).toBe(200);
    this.segments[index] = { id: before.id, ...tracedRule(json) };
    this.#edited = before;
  }

  /** Deletes a segment unless rules of other segments refer to it. */
  async deleteSegment(): Promise<void> {
    if (await this.#isEditing()) return;
    const segment = pick(this.#random, this.segments);
    const isNamed = this.segments.some(({ json }) => JSON.stringify(json).includes(segment.id));
    const deleted = await this.#rest.request("DELETE", `/v1/segments/${segment.id}`);
    expect(deleted.status, deleted.text).toBe(isNamed ? 409 : 204);
    if (!isNamed) this.segments.splice(this.segments.indexOf(segment), 1);
  }

  /** Whether the previous rule may still determine the members. */
  async #isEditing(): Promise<boolean> {
    if (this.#edited === undefined) return false;
    const { body } = await this.#rest.get(`/v1/segments/${this.#edited.id}`);
    if (body.state === "live") this.#edited = undefined;
    return this.#edited !== undefined;
  }

  /** Merges profiles or undoes merges. */
  async changeIdentities(count: number): Promise<void> {
    const users = [...this.#profileIds.keys()];
    for (let change = 0; change < count; change += 1) {
      const [user, into] = [pick(this.#random, users), pick(this.#random, users)];
      if (this.#random.chance(0.6)) await this.#merge(user, into);
      else await this.#unmerge(user);
    }
  }

  async #merge(user: string, into: string): Promise<void> {
    const isOne = this.#identities.rootOf(user) === this.#identities.rootOf(into);
    const path = `/v1/profiles/${this.#profileIds.get(user)}:merge`;
    const response = await this.#rest.post(path, { into: this.#profileIds.get(into) });
    const refused = user === into ? 400 : 409;
    expect(response.status, response.text).toBe(isOne ? refused : 200);
    if (!isOne) this.#identities.merge(user, into);
  }

  async #unmerge(user: string): Promise<void> {
    const isMerged = this.#identities.isMerged(user);
    const response = await this.#rest.post(`/v1/profiles/${this.#profileIds.get(user)}:unmerge`, {});
    expect(response.status, response.text).toBe(isMerged ? 200 : 409);
    if (isMerged) this.#identities.unmerge(user);
  }

  /** Erases a profile; sending its events again restores no data. */
  async eraseUser(): Promise<void> {
    const user = pick(this.#random, [...this.#profileIds.keys()]);
    const response = await this.#rest.request("DELETE", `/v1/profiles/${this.#profileIds.get(user)}`);
    expect(response.status, response.text).toBe(204);
    for (const gone of this.#identities.erase(user, this.#profileIds.keys())) this.#profileIds.delete(gone);
    const events = this.#identities.erased.slice(-3);
    if (events.length === 0) return;
    const replayed = await this.#rest.post("/v1/events:batch", { events });
    const statuses = replayed.body.results.map(({ status }: { status: string }) => status);
    expect(statuses, replayed.text).not.toContain("stored");
  }

  async send(count: number): Promise<void> {
    const { allEvents } = this.#identities;
    const events = Array.from({ length: count }, (_, index) =>
      allEvents.length > 0 && this.#random.chance(0.08)
        ? pick(this.#random, allEvents)
        : this.#newEvent(allEvents.length + index),
    );
    const response = await this.#rest.post("/v1/events:batch", { events });
    expect(response.status, response.text).toBe(200);
    for (const { status } of response.body.results) expect(["stored", "duplicate"]).toContain(status);
    for (const event of events) this.#identities.record(event);
  }

  #newEvent(index: number): SentEvent {
    const random = this.#random;
    const nowMs = systemClock.nowMs();
    const ms = pick(random, [
      nowMs,
      nowMs - random.integer(0, 200),
      nowMs - random.integer(0, 12_000),
      nowMs - random.integer(0, 4 * DAY_MS),
      nowMs + random.integer(0, 5000),
      // A full second, so that several events share an instant.
      Math.floor(nowMs / 1000) * 1000,
    ]);
    return {
      user_id: `user ${random.integer(0, PROFILES - 1)}`,
      name: pick(random, EVENT_NAMES),
      timestamp: new Date(ms).toISOString(),
      event_id: `event ${index} ${random.integer(0, 1e9)}`,
      properties: { color: pick(random, COLORS), price: random.integer(0, 10) },
    };
  }

  /**
   * Compares every member of every segment with the reference at the instants between request and response.
   */
  async check(): Promise<void> {
    const profiles = await this.#profiles();
    for (const segment of this.segments) {
      const worlds = await this.#worlds();
      const fromMs = systemClock.nowMs();
      const members = await this.#rest.all(`/v1/segments/${segment.id}/profiles`, "profiles");
      const untilMs = systemClock.nowMs();
      const found = new Set(members.map(({ user_id }) => user_id));
      expect(found.size).toBe(members.length);
      for (const user of found) expect(profiles.has(user), `${user} stands for nobody`).toBe(true);
      this.responses += profiles.size;
      const looks = worlds.map((world) =>
        this.#findWrong(segment.id, world, profiles, found, fromMs, untilMs),
      );
      if (looks.includes(undefined)) continue;
      const rules = this.#rulesOf(segment.json).map((rule) => JSON.stringify(rule));
      const [wrong = ""] = looks;
      const said = found.has(wrong) ? "a member" : "no member";
      expect.fail(
        `seed ${SEED}: ${wrong} is ${said} between ${fromMs} and ${untilMs} of\n${rules.join("\n")}` +
          `\n${JSON.stringify(profiles.get(wrong), null, 1)}`,
      );
    }
  }

  /** The sets of rules that may determine the members now; each set belongs to one time. */
  async #worlds(): Promise<World[]> {
    const isEditing = await this.#isEditing();
    const now: World = (id) => this.segments.find((segment) => segment.id === id);
    if (!isEditing) return [now];
    const before = this.#edited;
    return [now, (id) => (id === before?.id ? before : now(id))];
  }

  /** Profiles that are members but should not be, or the reverse. */
  #findWrong(
    segmentId: string,
    world: World,
    profiles: ReadonlyMap<string, ReferenceProfile>,
    found: ReadonlySet<string>,
    fromMs: number,
    untilMs: number,
  ): string | undefined {
    const wrong = [...profiles].find(
      ([user, profile]) => !this.#wasEver(segmentId, world, profile, found.has(user), fromMs, untilMs),
    );
    return wrong?.[0];
  }

  /**
   * Profiles by user of the root profile. Events come from the test's own record; traits are read from
   * Muster.
   */
  async #profiles(): Promise<Map<string, ReferenceProfile>> {
    const stored = await this.#rest.all("/v1/profiles", "profiles");
    const profiles = new Map<string, ReferenceProfile>();
    for (const { id, user_id, create_time, traits } of stored) {
      if (!this.#profileIds.has(user_id)) this.#profileIds.set(user_id, id);
      const events = this.#identities.eventsOf(user_id).map(({ name, timestamp, properties }) => ({
        name,
        properties,
        ms: Date.parse(timestamp),
      }));
      profiles.set(user_id, { createMs: Date.parse(create_time), traits, events });
    }
    const roots = [...this.#profileIds.keys()].filter((user) => !this.#identities.isMerged(user));
    expect([...profiles.keys()].sort()).toEqual(roots.sort());
    return profiles;
  }

  #wasEver(
    segmentId: string,
    world: World,
    profile: ReferenceProfile,
    member: boolean,
    fromMs: number,
    untilMs: number,
  ): boolean {
    const raw = profile.events.map(({ name, ms, properties }) => ({
      eventName: name,
      ms,
      properties: JSON.stringify(properties),
    }));
    const segment = world(segmentId);
    if (segment === undefined) return false;
    const { json, rule } = segment;
    const surroundings = {
      createMs: profile.createMs,
      traits: JSON.stringify(profile.traits),
      ruleOf: (id: string) => world(id)?.rule,
    };
    for (let ms = untilMs; ms >= fromMs; ms -= 1) {
      const truth = isMemberByRawEvents(rule, raw, ms, surroundings);
      const plain = referenceMatches(json, profile, ms, (id) => world(id)?.json);
      if (truth !== plain) {
        expect.fail(
          `seed ${SEED}: two meanings of ${JSON.stringify(json)} at ${ms}: ${JSON.stringify(profile)}`,
        );
      }
      if (truth === member) return true;
    }
    return false;
  }

  /** The rule, and the rules of the segments that it names. */
  #rulesOf(json: RuleJson): RuleJson[] {
    const text = JSON.stringify(json);
    const named = this.segments.filter(({ id }) => text.includes(id));
    return [json, ...named.flatMap((segment) => this.#rulesOf({ ...segment.json }))];
  }
}

/** The stored form: enum values by their names in the proto. */
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

function tracedRule(json: RuleJson): TracedRule {
  return { json, rule: decodeRule(JSON.stringify(storedForm(json))) };
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await startInstallation(mode);
  });
  afterAll(async () => installation?.stop());

  test(`random rules over random events, seed ${SEED}`, { timeout: 120_000 }, async () => {
    const run = new TraceRun(new RestClient(installation), new SeededRandom(SEED));
    // Half of the segments receive the events live, half count the events afterwards.
    await run.addProfiles();
    while (run.segments.length < SEGMENTS / 2) await run.addSegment();
    let early: Promise<void> | undefined;
    for (let round = 0; round < ROUNDS; round += 1) {
      await run.send(EVENTS_PER_ROUND);
      // Runs beside the events that follow.
      early ??= expectCleanVerification(installation, /0 mismatches/);
      // Awaited below; a failure of another step is reported first.
      early.catch(() => {});
      await run.changeTraits(4);
      await run.check();
      // The identity graph changes while events arrive.
      await Promise.all([run.send(EVENTS_PER_ROUND), run.changeIdentities(5), run.editSegment()]);
      await run.check();
      await run.eraseUser();
      await run.check();
      if (round % 2 === 1) await run.deleteSegment();
      if (round >= ROUNDS / 2) {
        for (let more = 0; more < SEGMENTS / ROUNDS; more += 1) await run.addSegment();
      }
    }
    await run.changeIdentities(6);
    const quietMs = systemClock.nowMs() + QUIET_MS;
    while (systemClock.nowMs() < quietMs) {
      await run.check();
      await systemClock.sleep(200);
    }
    const kinds = new Set(run.segments.flatMap(({ json }) => kindsIn(json)));
    expect(kinds.size).toBeGreaterThan(7);
    expect(run.responses).toBeGreaterThan(SEGMENTS * PROFILES * ROUNDS);

    await early;
    await expectCleanVerification(
      installation,
      /^(\d+) of \1 profiles, \d+ memberships: 0 mismatches, 0 inconclusive/,
    );
  });
});

async function expectCleanVerification(installation: Installation, summary: RegExp): Promise<void> {
  const verification = await runMuster(["verify-segments", "--seed", "1"], installation.variables);
  expect(verification.stdout + verification.stderr).toMatch(summary);
  expect(verification.code).toBe(0);
}
