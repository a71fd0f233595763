// Kills any process at any moment, under load: no acknowledged event is lost or counted twice, and every
// process restarts without help.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

const WRITERS = 6;
const EVENTS_PER_BATCH = 20;
const KILLS = { embedded: 4, production: 6 } as const;
const USERS = 50;
const THRESHOLDS = Array.from({ length: 40 }, (_, index) => 250 * (index + 1));

/** Writes batches until stopped; records acknowledged events and retries the others. */
class Writer {
  readonly acknowledged: string[] = [];
  readonly #rest: RestClient;
  readonly #name: string;
  #running = true;
  #batches = 0;

  constructor(rest: RestClient, name: string) {
    this.#rest = rest;
    this.#name = name;
  }

  async run(): Promise<void> {
    while (this.#running) {
      const batch = this.#batches;
      this.#batches += 1;
      const events = Array.from({ length: EVENTS_PER_BATCH }, (_, index) => ({
        user_id: `user-${(batch * EVENTS_PER_BATCH + index) % USERS}`,
        name: "counted",
        timestamp: new Date(Date.UTC(2025, 0, 1) + batch * 1000 + index).toISOString(),
        event_id: `${this.#name}-${batch}-${index}`,
      }));
      await this.#send(events);
    }
  }

  /** A retry of a batch without a response must neither fail nor store duplicates: ids and times repeat. */
  async #send(events: readonly { event_id: string }[]): Promise<void> {
    for (;;) {
      const response = await this.#rest.post("/v1/events:batch", { events }).catch(() => undefined);
      if (response?.status === 200) {
        for (const result of response.body.results) {
          expect(["stored", "duplicate"]).toContain(result.status);
          this.acknowledged.push(result.event_id);
        }
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  stop(): void {
    this.#running = false;
  }
}

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  test("kill -9 under load loses nothing and doubles nothing", { timeout: 180_000 }, async () => {
    for (const threshold of THRESHOLDS) {
      const segment = { name: `At least ${threshold}`, event_name: "counted", min_count: threshold };
      expect((await rest.post("/v1/segments", segment)).status).toBe(201);
    }
    const writers = Array.from({ length: WRITERS }, (_, index) => new Writer(rest, `writer-${index}`));
    const running = Promise.all(writers.map((writer) => writer.run()));
    const processes = [...installation.processes.values()];
    for (let kill = 0; kill < KILLS[mode]; kill += 1) {
      // A random moment, whatever the writers and workers are doing.
      await new Promise((resolve) => setTimeout(resolve, 300 + 137 * kill));
      const process = processes[kill % processes.length];
      await process?.end("SIGKILL");
      await process?.start();
    }
    for (const writer of writers) writer.stop();
    await running;

    const acknowledged = writers.flatMap((writer) => writer.acknowledged);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const stored = await storedEvents(rest);
    expect(stored.length).toBe(new Set(stored).size);
    expect(stored.toSorted()).toEqual(acknowledged.toSorted());
    await expectExactCounts(rest, acknowledged);
  });
});

async function storedEvents(rest: RestClient): Promise<string[]> {
  const profiles = await rest.all("/v1/profiles", "profiles");
  const lists = await Promise.all(
    profiles.map((profile: { id: string }) => rest.all(`/v1/profiles/${profile.id}/events`, "events")),
  );
  return lists.flat().map((event: { event_id: string }) => event.event_id);
}

/**
 * Checks the counts of the live projection: every user is brought to one event below the next threshold,
 * where no profile may enter, and then to the threshold, where every profile must enter. A lost or doubled
 * event shows.
 */
async function expectExactCounts(rest: RestClient, acknowledged: readonly string[]): Promise<void> {
  const counts = new Map<string, number>();
  for (const profile of await rest.all("/v1/profiles", "profiles")) {
    counts.set(profile.user_id, (await rest.all(`/v1/profiles/${profile.id}/events`, "events")).length);
  }
  expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(acknowledged.length);
  const threshold = THRESHOLDS.find((candidate) => candidate > Math.max(...counts.values())) ?? 0;
  const topUp = (until: number) =>
    [...counts].flatMap(([user, count]) =>
      Array.from({ length: until - count }, () => ({ user_id: user, name: "counted" })),
    );
  const members = async (): Promise<number> =>
    (await rest.all(`/v1/segments/at-least-${threshold}/profiles`, "profiles")).length;
  await send(rest, topUp(threshold - 1));
  expect(await members()).toBe(0);
  for (const user of counts.keys()) counts.set(user, threshold - 1);
  await send(rest, topUp(threshold));
  expect(await members()).toBe(counts.size);
}

async function send(rest: RestClient, events: readonly unknown[]): Promise<void> {
  for (let start = 0; start < events.length; start += 1000) {
    const response = await rest.post("/v1/events:batch", { events: events.slice(start, start + 1000) });
    expect(response.status, response.text).toBe(200);
  }
}
