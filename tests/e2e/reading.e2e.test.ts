// Compares the read methods of segments in whole installations: a preview with the members of the saved
// segment, explanations and checks with the member list, the last day of a backtest with the count. Random
// rules over random events; MUSTER_TEST_SEED repeats them.
import { SeededRandom, systemClock } from "@muster/core";
import { testSeed } from "@muster/testkit/check-property";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { COLORS, EVENT_NAMES, PLANS, pick, randomRule } from "../harness/random-rule-json.ts";
import { RestClient } from "../harness/rest.ts";

const SEED = testSeed();
const RULES = 12;
const PROFILES = 20;
const EVENTS = 250;
/** Random rules use windows of seconds: events older than this change no membership by time alone. */
const QUIET_MS = 30_000;
const DAY_MS = 24 * 60 * 60 * 1000;

async function addHistory(rest: RestClient, random: SeededRandom, nowMs: number): Promise<void> {
  for (let index = 0; index < PROFILES; index += 1) {
    const traits = { plan: pick(random, PLANS), age: random.integer(20, 40) };
    expect((await rest.post("/v1/profiles", { user_id: `user ${index}`, traits })).status).toBe(201);
  }
  const events = Array.from({ length: EVENTS }, (_, index) => ({
    // Every profile has an event, because the creation of a profile counts as an event of today.
    user_id: `user ${index < PROFILES ? index : random.integer(0, PROFILES - 1)}`,
    name: pick(random, EVENT_NAMES),
    timestamp: new Date(nowMs - random.integer(0, random.chance(0.6) ? 15_000 : 6 * DAY_MS)).toISOString(),
    properties: { color: pick(random, COLORS), price: random.integer(0, 10) },
  }));
  expect((await rest.post("/v1/events:batch", { events })).status).toBe(200);
}

async function expectAgreement(rest: RestClient, name: string, rule: unknown): Promise<void> {
  const what = `seed ${SEED}: ${name}: ${JSON.stringify(rule)}`;
  const call = async (path: string, body?: object) => {
    const response = body === undefined ? await rest.get(path) : await rest.post(path, body);
    expect(response.status, `${what}: ${response.text}`).toBeLessThan(300);
    return response.body;
  };
  const preview = await call("/v1/segments:preview", { rule, exact: true });
  const replayed = await call("/v1/segments:backtest", { rule, days: 8 });
  const { id } = await call("/v1/segments", { name, rule });
  const members = await rest.all(`/v1/segments/${id}/profiles`, "profiles");
  const memberIds = new Set(members.map((member) => member.id));

  expect(preview.count, what).toBe(memberIds.size);
  expect(preview.exact).toBe(true);
  expect(
    preview.sample.every((profile: { id: string }) => memberIds.has(profile.id)),
    what,
  ).toBe(true);
  expect(replayed.days.at(-1).members, what).toBe(memberIds.size);
  expect((await call("/v1/segments:backtest", { segment: id, days: 8 })).days).toEqual(replayed.days);

  const profiles = await rest.all("/v1/profiles", "profiles");
  const checks = profiles.flatMap((profile) => [
    { segment: id, profile_id: profile.id },
    { segment: id, user_id: profile.user_id },
  ]);
  const { results } = await call("/v1/memberships:batchCheck", { checks });
  for (const [index, profile] of profiles.entries()) {
    const is = memberIds.has(profile.id);
    expect([results[2 * index].member, results[2 * index + 1].member], `${what}: ${profile.id}`).toEqual([
      is,
      is,
    ]);
    const explained = await call(`/v1/segments/${id}/profiles/${profile.id}:explain`);
    expect([explained.member, explained.tree.holds], `${what}: ${profile.id}`).toEqual([is, is]);
    if (is) expect(explained.missing).toEqual([]);
  }
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await startInstallation(mode);
  });
  afterAll(async () => installation?.stop());

  test(`readings of random rules agree, seed ${SEED}`, { timeout: 120_000 }, async () => {
    const rest = new RestClient(installation);
    const random = new SeededRandom(SEED);
    const nowMs = systemClock.nowMs() - QUIET_MS;
    await addHistory(rest, random, nowMs);
    const segmentIds: string[] = [];
    for (let index = 0; index < RULES; index += 1) {
      const rule = randomRule({ random, nowMs, segmentIds });
      await expectAgreement(rest, `Reading ${index}`, rule);
      segmentIds.push(`reading-${index}`);
    }
  });
});
