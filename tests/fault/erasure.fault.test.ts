// Kills each process during an erasure: the erasure continues without help, and at the end no data remains
// and the receipt is complete.
import { randomBytes } from "node:crypto";
import { systemClock } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findInInstallation } from "../harness/find-in-installation.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

const KILLS = 4;
const EVENTS = 3_000;
const EVENTS_PER_BATCH = 1_000;
/** The lease of a dead process must expire first. */
const COMPLETE_MS = 60_000;

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  /** Records a user with so many events that an erasure needs many transactions. */
  async function recordUser(mark: string): Promise<void> {
    for (let start = 0; start < EVENTS; start += EVENTS_PER_BATCH) {
      const events = Array.from({ length: EVENTS_PER_BATCH }, (_, index) => ({
        user_id: mark,
        name: index % 10 === 0 ? "page.viewed" : "bought",
        properties: { name: mark },
        event_id: `${mark}-${start + index}`,
        ...(index % 2 === 0 && { timestamp: new Date(systemClock.nowMs() - index).toISOString() }),
      }));
      expect((await rest.post("/v1/events:batch", { events })).status).toBe(200);
    }
  }

  test("an erasure whose process is killed continues to its end", { timeout: 240_000 }, async () => {
    const segment = { name: "Buyers", event_name: "bought", min_count: 1 };
    expect((await rest.post("/v1/segments", segment)).status).toBe(201);
    const run = `erase-me-${randomBytes(4).toString("hex")}`;
    const victims = mode === "embedded" ? ["all"] : ["events", "segments"];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const user = `${run}-${kill}`;
      await recordUser(user);
      const erasing = rest.request("DELETE", `/v1/user/${user}`).catch(() => undefined);
      // A random moment: before the erasure, while rows are removed, or during the later steps.
      await new Promise((resolve) => setTimeout(resolve, 5 + 60 * kill));
      const victim = installation.processes.get(victims[kill % victims.length] ?? "");
      await victim?.end("SIGKILL");
      await victim?.start();
      await erasing;
      // The erasure may not have started; a repeated request is harmless.
      await waitFor(async () => (await rest.request("DELETE", `/v1/user/${user}`)).status === 204, {
        timeoutMs: COMPLETE_MS,
      });
    }
    const receipts = await waitFor(
      async () => {
        const { body } = await rest.get("/v1/erasures");
        const isComplete = body.erasures.every(({ state }: { state: string }) => state === "complete");
        return isComplete ? body.erasures : undefined;
      },
      { timeoutMs: COMPLETE_MS, what: "all erasures to be complete" },
    );
    expect(receipts).toHaveLength(KILLS);
    for (const { locations } of receipts) {
      const counts = new Map(
        locations.map(({ location, count }: { location: string; count: number }) => [location, count]),
      );
      // Counted in the transactions that removed the rows, and therefore exactly once.
      expect(counts.get("events.tracked_events")).toBe(EVENTS);
      expect(counts.get("events.undated_event_ids")).toBe(EVENTS / 2);
      // 0 if segments lagged: the messages that it applied later no longer contained the profile.
      expect([0, 1]).toContain(counts.get("segments.memberships"));
    }
    expect(await findInInstallation(installation, run)).toEqual([]);
    const { body } = await waitFor(
      async () => {
        const response = await rest.get("/v1/segments/buyers");
        return response.status === 200 ? response : undefined;
      },
      { timeoutMs: COMPLETE_MS, what: "segments to have caught up" },
    );
    expect(body.member_count).toBe(0);
  });
});
