// Erases a profile over REST in both modes: no data remains in any service's tables or on the broker, and
// sending the same events again restores no data.
import { randomBytes } from "node:crypto";
import { systemClock } from "@muster/core";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findInFiles, findInInstallation } from "../harness/find-in-installation.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  /** Part of every value that identifies or describes the person. */
  const mark = `erase-me-${randomBytes(4).toString("hex")}`;
  const user = `${mark}-user`;
  const numeric = 900_719_925_474_099;
  const nowMs = systemClock.nowMs();
  const at = (ms: number): string => new Date(nowMs - ms).toISOString();

  const erase = (path: string): Promise<RestResponse> => rest.request("DELETE", path);
  const ok = async (call: Promise<RestResponse>, status = 200): Promise<RestResponse> => {
    const response = await call;
    expect(response.status, response.text).toBe(status);
    return response;
  };
  const event = { user_id: user, name: "bought", properties: { what: mark }, event_id: `${mark}-1` };
  const dated = { ...event, event_id: `${mark}-2`, timestamp: at(60_000) };
  const tracked = {
    userId: user,
    event: "bought",
    messageId: `${mark}-message`,
    timestamp: at(50_000),
    properties: { what: mark },
  };
  const purchase = { user_id: user, event_type: "PURCHASE", timestamp: nowMs };
  const keyed = { "idempotency-key": `${mark}-key` };

  /** Two merged profiles with data in every place that an erasure cleans. */
  async function live(): Promise<{ id: string; mergedId: string }> {
    await ok(rest.post("/v1/segments", { name: "Buyers", event_name: "bought", min_count: 1 }), 201);
    await ok(rest.post("/v1/segments", { name: "Great buyers", event_name: "bought", min_count: 4 }), 201);
    const traits = { email: `${mark}@example.com`, name: mark, [mark]: mark };
    await ok(rest.post("/v1/identify", { userId: user, anonymousId: `${mark}-device`, traits }));
    await ok(rest.post("/v1/events", event, keyed), 201);
    await ok(rest.post("/v1/events", dated), 201);
    await ok(rest.post("/v1/events", { user_id: "bystander", name: "bought", event_id: "b1" }), 201);
    await ok(rest.post("/v1/track", tracked));
    await ok(rest.post("/v1/page", { user_id: user, name: mark }), 201);
    await ok(rest.post("/v1/users/events", purchase), 201);
    const merged = await ok(rest.post("/v1/profiles", { user_id: String(numeric), name: mark }), 201);
    const withdrawal = { type: "withdraw", amount: "101.00", user_id: numeric, time: 10 };
    expect((await ok(rest.post("/api/events", withdrawal))).body.alert_codes).toContain(1100);
    const [profile] = (await rest.get(`/v1/profiles?user_id=${user}`)).body.profiles;
    await ok(rest.post(`/v1/profiles/${merged.body.id}:merge`, { into: profile.id }));
    await ok(rest.post("/v1/events", { ...event, user_id: String(numeric), event_id: `${mark}-3` }), 201);
    const members = await rest.all("/v1/segments/great-buyers/profiles", "profiles");
    expect(members.map(({ id }: { id: string }) => id)).toEqual([profile.id]);
    return { id: profile.id, mergedId: merged.body.id };
  }

  test("an erased person is nowhere, and everybody else is as before", { timeout: 120_000 }, async () => {
    const { id, mergedId } = await live();
    expect(await findInInstallation(installation, mark)).not.toEqual([]);

    const response = await ok(erase(`/v1/user/${user}`), 204);
    expect(response.text).toBe("");
    const erasureId = response.headers.get("muster-erasure-id");
    for (const gone of [`/v1/profiles/${id}`, `/v1/profiles/${mergedId}`, `/v1/user/${user}`]) {
      await ok(rest.get(gone), 404);
    }
    expect((await rest.get(`/v1/users/events?user_id=${user}`)).body.data).toEqual([]);
    expect((await rest.get("/v1/alerts")).body.alerts).toEqual([]);
    const buyers = await rest.all("/v1/segments/buyers/profiles", "profiles");
    expect(buyers.map((profile: { user_id: string }) => profile.user_id)).toEqual(["bystander"]);
    expect(await rest.all("/v1/segments/great-buyers/profiles", "profiles")).toEqual([]);
    expect((await rest.get("/v1/segments/buyers")).body.member_count).toBe(1);

    const receipt = await waitFor(
      async () => {
        const { body } = await ok(rest.get(`/v1/erasures/${erasureId}`));
        return body.state === "complete" ? body : undefined;
      },
      { timeoutMs: 30_000, what: "the erasure to be complete" },
    );
    expect(receipt).toMatchObject({ id: erasureId, profile_ids: [id, mergedId].sort() });
    expect(receipt.complete_time >= receipt.create_time).toBe(true);
    const counts = new Map(
      receipt.locations.map(({ location, count }: { location: string; count: number }) => [location, count]),
    );
    expect(counts.get("events.profiles")).toBe(2);
    expect(counts.get("events.tracked_events")).toBeGreaterThan(6);
    expect(counts.get("segments.profile_states")).toBeGreaterThan(0);
    for (const text of [mark, String(numeric)]) {
      expect(await findInInstallation(installation, text)).toEqual([]);
      expect(await findInFiles(installation, text)).toEqual([]);
    }
    expect((await ok(rest.get("/api/erasures"))).body.erasures).toEqual([receipt]);
  });

  test("what is sent again brings nothing back, whichever way it comes", async () => {
    for (const again of [event, dated]) {
      expect((await ok(rest.post("/v1/events", again), 409)).body.reason).toBe("EVENT_ERASED");
    }
    const kept = await ok(rest.post("/v1/events", event, keyed), 409);
    expect(kept.body.reason).toBe("EVENT_ERASED");
    expect(kept.headers.get("idempotency-replayed")).toBe("true");
    expect((await ok(rest.post("/v1/users/events", purchase), 409)).body.message).toBe(
      "User event already exists",
    );
    expect((await ok(rest.post("/v1/track", tracked))).body).toEqual({ success: true });
    const batch = await ok(rest.post("/v1/events:batch", { events: [event, dated] }));
    expect(batch.body.results.map(({ status }: { status: string }) => status)).toEqual([
      "rejected",
      "rejected",
    ]);
    expect((await rest.get(`/v1/profiles?user_id=${user}`)).body.profiles).toEqual([]);
    const again = await ok(erase(`/v1/user/${user}`), 204);
    expect(again.headers.get("muster-erasure-id")).toBeNull();
    expect(await findInInstallation(installation, mark)).toEqual([]);
  });

  test("new activity of the same identity starts afresh", async () => {
    const { body } = await ok(rest.post("/v1/events", { ...event, event_id: `${mark}-new` }), 201);
    const buyers = await rest.all("/v1/segments/buyers/profiles", "profiles");
    expect(buyers.map(({ id }: { id: string }) => id)).toContain(body.profile_id);
    const { body: list } = await ok(rest.get(`/v1/profiles/${body.profile_id}/events`));
    expect(list.events).toHaveLength(1);
    await ok(erase(`/v1/profiles/${body.profile_id}`), 204);
    await ok(erase(`/v1/profiles/${body.profile_id}`), 404);
    await waitFor(async () => {
      const { erasures } = (await rest.get("/v1/erasures")).body;
      return erasures.every(({ state }: { state: string }) => state === "complete");
    });
  });

  test("no file holds a trace of the person after a clean stop", { timeout: 60_000 }, async () => {
    await Promise.all([...installation.processes.values()].map((process) => process.end("SIGTERM")));
    for (const text of [mark, String(numeric)]) {
      expect(await findInFiles(installation, text)).toEqual([]);
    }
  });
});
