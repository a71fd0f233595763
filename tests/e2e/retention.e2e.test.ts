// Tests retention over REST in both modes: the agreement of two services, and the behavior while a service is
// unreachable.
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  const keep = (body: unknown) => rest.request("PATCH", "/v1/retention", body);

  test("an organization keeps everything by default, and its own setting afterwards", async () => {
    const forEver = { raw_event_days: null, aggregate_days: null, complete_since: null, update_time: null };
    expect((await rest.get("/v1/retention")).body).toEqual(forEver);
    const shorter = await keep({ raw_event_days: 30 });
    expect(shorter.status, shorter.text).toBe(200);
    const update_time = expect.any(String);
    expect(shorter.body).toEqual({ ...forEver, raw_event_days: 30, update_time });
    expect((await keep({ aggregate_days: 8 })).body).toMatchObject({ raw_event_days: 30, aggregate_days: 8 });
    expect((await rest.get("/api/retention")).body).toMatchObject({ raw_event_days: 30, aggregate_days: 8 });
    expect((await keep({ raw_event_days: null, aggregate_days: 0 })).body).toMatchObject({
      raw_event_days: null,
      aggregate_days: null,
    });
  });

  test("what came today stays, however long ago it happened", async () => {
    const longAgo = new Date(Date.UTC(2020, 1, 2)).toISOString();
    const event = { user_id: "ada", name: "bought", timestamp: longAgo };
    const { body: stored } = await rest.post("/v1/events", event);
    await rest.post("/v1/segments", { name: "Buyers", event_name: "bought", min_count: 1 });
    await keep({ raw_event_days: 1 });
    // The event was received today, which is the time that retention uses.
    const list = `/v1/profiles/${stored.profile_id}/events`;
    expect((await rest.get(list)).body.events).toHaveLength(1);
    expect((await rest.get("/v1/segments/buyers/profiles")).body.profiles).toHaveLength(1);
    await keep({ raw_event_days: null });
  });

  test("a rule that looks further back refuses, and what was agreed refuses rules", async () => {
    await rest.post("/v1/segments", { name: "Fans", event_name: "viewed", min_count: 1, within_days: 20 });
    const refused = await keep({ raw_event_days: 10 });
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ reason: "RETENTION_TOO_SHORT", details: { segments: "fans" } });
    expect((await rest.get("/v1/retention")).body.raw_event_days).toBeNull();
    expect((await keep({ raw_event_days: 20 })).status).toBe(200);
    const longer = { name: "Old fans", event_name: "viewed", min_count: 1, within_days: 21 };
    const rule = await rest.post("/v1/segments", longer);
    expect(rule.status).toBe(400);
    expect(rule.body).toMatchObject({ reason: "FIELD_INVALID", fields: [{ field: "within_days" }] });
    await rest.request("DELETE", "/v1/segments/fans");
    expect((await keep({ raw_event_days: 10 })).status).toBe(200);
    expect((await keep({ raw_event_days: null })).status).toBe(200);
    expect((await rest.post("/v1/segments", longer)).status).toBe(201);
  });

  test.each([
    [{ raw_event_days: -1 }, "raw_event_days"],
    [{ raw_event_days: 36_501 }, "raw_event_days"],
    [{ raw_event_days: 1.5 }, "raw_event_days"],
    [{ raw_event_days: "week" }, "raw_event_days"],
    [{ aggregate_days: 7 }, "aggregate_days"],
    [{ complete_since: null }, "complete_since"],
  ])("%j is refused", async (body, field) => {
    const { status, body: response } = await keep(body);
    expect(status).toBe(400);
    expect(response.fields[0].field).toBe(field);
  });

  test.runIf(mode === "production")("without segments nothing is agreed, and events goes on", async () => {
    const [segments, events] = ["segments", "events"].map((name) => installation.processes.get(name));
    await segments?.end("SIGKILL");
    await events?.end("SIGTERM");
    // The service starts without the other one.
    await events?.start();
    await waitFor(async () => {
      const { status } = await rest.post("/v1/events", { user_id: "bob", name: "viewed" });
      return status === 201;
    });
    const refused = await keep({ raw_event_days: 5 });
    expect(refused.status).toBe(503);
    expect((await rest.get("/v1/retention")).body.raw_event_days).toBeNull();
    await segments?.start();
    await waitFor(async () => (await keep({ raw_event_days: null })).status === 200);
  });
});
