// Tests alerts over REST in both modes: actions, the four rules, custom rules.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const FARTHEST = Number.MAX_SAFE_INTEGER;

describe.each<Mode>(["embedded", "production"])("alerts in %s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  let users = 1000;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  const newUser = async (): Promise<number> => {
    users += 1;
    expect((await rest.post("/v1/profiles", { user_id: String(users) })).status).toBe(201);
    return users;
  };
  const act = async (user_id: number, type: string, amount: string, time: number): Promise<number[]> => {
    const response = await rest.post("/api/events", { type, amount, user_id, time });
    expect(response.status, response.text).toBe(200);
    expect(response.body.alert).toBe(response.body.alert_codes.length > 0);
    return response.body.alert_codes;
  };

  test("a response has exactly the contract's fields", async () => {
    const user_id = await newUser();
    const quiet = await rest.post("/api/events", { type: "deposit", amount: "42.00", user_id, time: 10 });
    expect(quiet.text).toBe(`{"alert":false,"alert_codes":[],"user_id":${user_id}}`);
    const loud = await rest.post("/api/events", { type: "deposit", amount: "158.01", user_id, time: 40 });
    expect(loud.text).toBe(`{"alert":true,"alert_codes":[123],"user_id":${user_id}}`);
    const listed = await rest.get(`/v1/alerts?user_id=${user_id}`);
    expect(listed.body).toEqual({
      alerts: [
        {
          id: expect.any(String),
          rule_id: expect.any(String),
          code: 123,
          profile_id: expect.any(String),
          user_id: String(user_id),
          event_id: expect.any(String),
          event_name: "deposit",
          timestamp: "1970-01-01T00:00:40.000Z",
          fire_time: expect.stringMatching(INSTANT),
        },
      ],
      next_page_token: "",
    });
    const [alert] = listed.body.alerts;
    const events = await rest.get(`/v1/profiles/${alert.profile_id}/events`);
    expect(events.body.events[0]).toMatchObject({
      id: alert.event_id,
      name: "deposit",
      properties: { amount: "158.01", time: 40 },
      timestamp: "1970-01-01T00:00:40.000Z",
    });
  });

  test("the four rules, alone and together", async () => {
    const user = await newUser();
    expect(await act(user, "withdraw", "100", 0)).toEqual([]);
    expect(await act(user, "withdraw", "100.01", 1)).toEqual([1100]);
    expect(await act(user, "withdraw", "5", 1)).toEqual([30]);
    expect(await act(user, "deposit", "1", 50)).toEqual([]);
    expect(await act(user, "withdraw", "500.5", 51)).toEqual([1100]);
    expect(await act(user, "deposit", "99.99", 52)).toEqual([]);
    expect(await act(user, "deposit", "100.00", 81)).toEqual([300]);
    expect(await act(user, "deposit", "0.01", 81)).toEqual([]);
    expect(await act(user, "deposit", "0.02", 81)).toEqual([123]);
    expect(await act(user, "deposit", "100.10", 81)).toEqual([123, 300]);
  });

  test("the largest user and time are kept as they are", async () => {
    expect((await rest.post("/v1/profiles", { user_id: String(FARTHEST) })).status).toBe(201);
    expect(await act(FARTHEST, "deposit", "100.5", FARTHEST - 31)).toEqual([]);
    expect(await act(FARTHEST, "deposit", "100.5", FARTHEST)).toEqual([]);
    expect(await act(FARTHEST, "deposit", "0.01", FARTHEST - 1)).toEqual([]);
    expect(await act(FARTHEST, "deposit", "100.5", FARTHEST - 1)).toEqual([123]);
    const { body } = await rest.get(`/v1/alerts?user_id=${FARTHEST}`);
    expect(body.alerts[0].timestamp).toBe("9999-12-31T23:59:59.999Z");
  });

  const good = { type: "deposit", amount: "1.00", user_id: 1, time: 1 };
  test.each<[title: string, field: string | undefined, body: unknown]>([
    ["an unknown type", "type", { ...good, type: "transfer" }],
    ["a type that is a number", "type", { ...good, type: 1 }],
    ["no type", "type", { ...good, type: undefined }],
    ["an amount that is a number", "amount", { ...good, amount: 42 }],
    ["an amount of nothing", "amount", { ...good, amount: "0.00" }],
    ["an amount below nothing", "amount", { ...good, amount: "-5.00" }],
    ["three decimals", "amount", { ...good, amount: "42.505" }],
    ["an exponent", "amount", { ...good, amount: "1e2" }],
    ["a comma", "amount", { ...good, amount: "1,00" }],
    ["a space", "amount", { ...good, amount: " 1" }],
    ["no digits before the dot", "amount", { ...good, amount: ".50" }],
    ["no digits after the dot", "amount", { ...good, amount: "1." }],
    ["31 digits", "amount", { ...good, amount: "1".repeat(31) }],
    ["no amount", "amount", { ...good, amount: null }],
    ["a user that is text", "user_id", { ...good, user_id: "1" }],
    ["half a user", "user_id", { ...good, user_id: 1.5 }],
    ["a user below none", "user_id", { ...good, user_id: -1 }],
    ["a user past 2^53-1", "user_id", { ...good, user_id: 2 ** 53 }],
    ["no user", "user_id", { ...good, user_id: undefined }],
    ["a time that is text", "time", { ...good, time: "10" }],
    ["half a second", "time", { ...good, time: 0.5 }],
    ["a time below none", "time", { ...good, time: -1 }],
    ["a time past 2^53-1", "time", { ...good, time: 2 ** 53 }],
    ["no time", "time", { ...good, time: undefined }],
    ["a list", undefined, []],
    ["broken JSON", undefined, "{"],
  ])("refuses %s", async (_title, field, body) => {
    const response = await rest.post("/api/events", body);
    expect(response.status, response.text).toBe(400);
    const named = response.body.fields.map((one: { field: string }) => one.field);
    expect(named).toEqual(field === undefined ? [] : [field]);
  });

  test("an unknown user is 404 and unknown fields are ignored; nothing is under /v1", async () => {
    const unknown = await rest.post("/api/events", { ...good, user_id: 77 });
    expect([unknown.status, unknown.body.reason]).toEqual([404, "PROFILE_NOT_FOUND"]);
    expect((await rest.get("/v1/profiles?user_id=77")).body.profiles).toEqual([]);
    const user_id = await newUser();
    expect((await rest.post("/api/events", { ...good, user_id, note: "x" })).status).toBe(200);
    // The /v1 route records any event, and its response has no alert codes.
    expect((await rest.post("/v1/events", { ...good, user_id })).status).toBe(400);
  });

  test("each POST is an action, unless it repeats an idempotency key", async () => {
    const user_id = await newUser();
    const body = { type: "deposit", amount: "150", user_id, time: 0 };
    const first = await rest.post("/api/events", body, { "idempotency-key": `k${user_id}` });
    const again = await rest.post("/api/events", body, { "idempotency-key": `k${user_id}` });
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(await act(user_id, "withdraw", "1", 1)).toEqual([]);
    expect(await act(user_id, "deposit", "50.01", 0)).toEqual([123]);
  });

  test("parallel deposits are evaluated one after the other", async () => {
    const user = await newUser();
    const codes = await Promise.all(Array.from({ length: 20 }, () => act(user, "deposit", "60", 0)));
    expect(codes.filter((one) => one.length === 0)).toHaveLength(3);
    expect(codes.filter((one) => one.includes(123))).toHaveLength(17);
  });

  test("rules are listed, added, changed and deleted; the next event is evaluated by the current rules", async () => {
    const { body: before } = await rest.get("/v1/alert-rules");
    expect(before.alert_rules.map((rule: { code: number }) => rule.code)).toEqual([30, 123, 300, 1100]);
    expect(before.alert_rules[1]).toEqual({
      id: expect.any(String),
      code: 123,
      name: expect.any(String),
      kind: "window_sum",
      event_name: "deposit",
      other_event_names: [],
      property: "amount",
      threshold: "200",
      count: null,
      window_seconds: 30,
      enabled: true,
      create_time: null,
      update_time: null,
      counts_since: null,
      version: 1,
    });
    const rule = {
      code: 9001,
      name: "Dear baskets",
      kind: "window_sum",
      event_name: "order.completed",
      property: "total",
      threshold: "99.5",
      window_seconds: 3600,
    };
    const created = await rest.post("/v1/alert-rules", rule);
    expect(created.status, created.text).toBe(201);
    expect(created.body).toMatchObject({ ...rule, enabled: true });
    const path = `/v1/alert-rules/${created.body.id}`;
    expect((await rest.get(path)).body).toEqual(created.body);
    expect((await rest.post("/v1/alert-rules", rule)).status).toBe(409);
    const order = (total: unknown, minute: number) =>
      rest.post("/v1/events", {
        user_id: "buyer",
        name: "order.completed",
        properties: { total },
        timestamp: new Date(Date.UTC(2025, 0, 1, 0, minute)).toISOString(),
      });
    const fired = async () => (await rest.all("/v1/alerts?user_id=buyer", "alerts")).length;
    expect((await order(49.75, 0)).status).toBe(201);
    await order("49.75", 60);
    expect(await fired()).toBe(0);
    await order(0.01, 60);
    expect(await fired()).toBe(1);
    const changed = await rest.request("PATCH", path, { threshold: "200" });
    expect([changed.status, changed.body.threshold, changed.body.name]).toEqual([200, "200", rule.name]);
    await order(1, 60);
    expect(await fired()).toBe(1);
    expect((await rest.request("PATCH", path, { threshold: null })).status).toBe(400);
    await rest.request("PATCH", path, { threshold: "50", enabled: false });
    await order(1, 60);
    expect(await fired()).toBe(1);
    expect((await rest.request("DELETE", path)).status).toBe(204);
    expect((await rest.get(path)).status).toBe(404);
    expect((await rest.get(`/v1/alerts?user_id=buyer&code=9001`)).body.alerts).toHaveLength(1);
    expect((await rest.get("/api/alert-rules")).body).toEqual(before);
  });

  test("one of the four can be deleted for good", async () => {
    const user = await newUser();
    const { body } = await rest.get("/v1/alert-rules");
    const { id } = body.alert_rules.find((rule: { code: number }) => rule.code === 300);
    expect((await rest.request("DELETE", `/v1/alert-rules/${id}`)).status).toBe(204);
    for (const [amount, time] of [
      ["1", 0],
      ["2", 1],
      ["3", 2],
    ] as const) {
      expect(await act(user, "deposit", amount, time)).toEqual([]);
    }
    expect((await rest.get("/v1/alert-rules")).body.alert_rules).toHaveLength(3);
  });
});
