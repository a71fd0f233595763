// Tests page views, points and the event catalog over REST, with real processes in both modes.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { runMuster } from "../harness/process.ts";
import { RestClient } from "../harness/rest.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const RECORDED = "User events recorded Successfully";
const QUERIED = "User events queried Successfully";
const HOUR_MS = 3_600_000;
const REPOSITORY = join(import.meta.dirname, "../..");

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  const record = (user: string, type: string, timestamp: unknown) =>
    rest.post("/v1/users/events", { user_id: user, event_type: type, timestamp });
  const view = (user: string, name: string, agoMs: number) =>
    rest.post("/v1/events", {
      user_id: user,
      name: "page.viewed",
      properties: { name },
      timestamp: new Date(Date.now() - agoMs).toISOString(),
    });

  test("a user's events are recorded once each, and earn points at once", async () => {
    const first = await record("13", "PURCHASE", 14223343);
    expect([first.status, first.body]).toEqual([201, { message: RECORDED, id: expect.stringMatching(UUID) }]);
    const again = await record("13", "PURCHASE", 14223343);
    expect([again.status, again.body.reason, again.body.message]).toEqual([
      409,
      "USER_EVENT_EXISTS",
      "User event already exists",
    ]);
    await record("13", "LOGIN", 14223343);
    for (const path of ["/v1/users/events", "/v1/users/events/", "/api/users/events/"]) {
      const one = await rest.get(`${path}?user_id=13`);
      expect([one.status, one.text]).toEqual([
        200,
        `{"message":"${QUERIED}","data":[{"userId":"13","points":11}]}`,
      ]);
    }
    const all = await rest.get("/v1/users/events");
    expect(all.body).toEqual({
      message: QUERIED,
      data: [{ userId: "13", points: 11 }],
      next_page_token: "",
    });
    const purchases = await rest.get("/v1/users/events?user_id=13&event_type=PURCHASE&color=red");
    expect(purchases.body.data).toEqual([{ userId: "13", points: 10 }]);
    expect((await rest.get("/v1/users/events?user_id=unseen")).text).toBe(
      `{"message":"${QUERIED}","data":[]}`,
    );
  });

  test.each([
    ["a timestamp in a string", { user_id: "bad", event_type: "LOGIN", timestamp: "1" }, "timestamp"],
    ["a timestamp between two", { user_id: "bad", event_type: "LOGIN", timestamp: 1.5 }, "timestamp"],
    ["a timestamp below none", { user_id: "bad", event_type: "LOGIN", timestamp: -1 }, "timestamp"],
    [
      "a timestamp of 2^53",
      '{"user_id":"bad","event_type":"LOGIN","timestamp":9007199254740992}',
      "timestamp",
    ],
    ["no timestamp", { user_id: "bad", event_type: "LOGIN" }, "timestamp"],
    ["a user that is a number", { user_id: 13, event_type: "LOGIN", timestamp: 1 }, "user_id"],
    ["no user", { event_type: "LOGIN", timestamp: 1 }, "user_id"],
    ["a type of other case", { user_id: "bad", event_type: "login", timestamp: 1 }, "event_type"],
  ])("%s is 400 and names the field", async (_, body, field) => {
    const response = await rest.post("/v1/users/events", body);
    expect(response.status).toBe(400);
    expect(response.body.fields.map((one: { field: string }) => one.field)).toContain(field);
    expect((await rest.get("/v1/profiles?user_id=bad")).body.profiles).toEqual([]);
  });

  test("the largest timestamp is taken, and unknown fields are ignored", async () => {
    const body = { user_id: "max", event_type: "LOGIN", timestamp: 2 ** 53 - 1, color: "red" };
    expect((await rest.post("/v1/users/events", body)).status).toBe(201);
    expect((await rest.post("/v1/users/events", body)).status).toBe(409);
  });

  test("a summary has exactly the contract's fields, and what was posted before it", async () => {
    expect((await rest.get("/v1/user/viewer")).status).toBe(404);
    await view("viewer", "Home", 167 * HOUR_MS);
    await view("viewer", "Home", 169 * HOUR_MS);
    await view("viewer", "Home", -HOUR_MS);
    expect((await rest.get("/v1/user/viewer")).body).toEqual({
      user_id: "viewer",
      number_pages_viewed_in_the_last_7_days: 1,
      time_spent_on_site_in_last_7_days: 0,
      number_of_days_active_in_last_7_days: 1,
      most_viewed_page_in_last_7_days: "Home",
    });
    await record("idle/user", "LOGIN", 1);
    const idle = await rest.get("/api/user/idle%2Fuser");
    expect(idle.text).toBe(
      '{"user_id":"idle/user","number_pages_viewed_in_the_last_7_days":0,"time_spent_on_site_in_last_7_days":0,"number_of_days_active_in_last_7_days":0,"most_viewed_page_in_last_7_days":null}',
    );
  });

  test("the catalog is read and changed, and acts on the past", async () => {
    const listed = await rest.get("/v1/event-types");
    expect(listed.body.event_types.map((type: { name: string }) => type.name)).toEqual([
      "LOGIN",
      "PURCHASE",
      "REFERRAL",
    ]);
    await record("fan", "REFERRAL", 1);
    const added = await rest.post("/v1/event-types", { name: "page.viewed", price: 0.1 });
    expect([added.status, added.body]).toEqual([201, { name: "page.viewed", description: "", price: 0.1 }]);
    for (const page of ["a", "b", "c"]) await view("fan", page, 0);
    const points = async () => (await rest.get("/v1/users/events?user_id=fan")).body.data[0]?.points;
    expect(await points()).toBe(20.3);
    const changed = await rest.request("PATCH", "/v1/event-types/REFERRAL", { price: 2 });
    expect([changed.status, changed.body.price]).toEqual([200, 2]);
    expect(await points()).toBe(2.3);
    expect((await rest.request("PATCH", "/v1/event-types/REFERRAL", { price: null })).status).toBe(400);
    expect((await rest.request("DELETE", "/v1/event-types/page.viewed")).status).toBe(204);
    expect((await rest.get("/v1/event-types/page.viewed")).status).toBe(404);
    expect(await points()).toBe(2);
    expect((await rest.post("/v1/event-types", { name: "LOGIN", price: 1 })).status).toBe(409);
  });

  test("without credentials they act for the demo organization, in embedded mode alone", async () => {
    const anonymous = await fetch(`${installation.url}/v1/users/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user_id: "anonymous", event_type: "LOGIN", timestamp: 1 }),
    });
    const read = await fetch(`${installation.url}/v1/user/anonymous`);
    expect([anonymous.status, read.status]).toEqual(mode === "embedded" ? [201, 200] : [401, 401]);
    expect((await fetch(`${installation.url}/v1/event-types`)).status).toBe(401);
  });
});

describe("config/events.yaml", () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "muster-catalog-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const written = async (more: string): Promise<string> => {
    const file = join(folder, "events.yaml");
    const committed = await readFile(join(REPOSITORY, "config/events.yaml"), "utf8");
    await writeFile(file, `${committed}${more}`);
    return file;
  };

  test("one more entry is one more type", async () => {
    const file = await written("  - name: REVIEW\n    price: 2.5\n");
    const installation = await startInstallation("embedded", { MUSTER_EVENT_CATALOG: file });
    try {
      const rest = new RestClient(installation);
      await rest.post("/v1/users/events", { user_id: "1", event_type: "REVIEW", timestamp: 1 });
      expect((await rest.get("/v1/users/events?user_id=1")).body.data).toEqual([
        { userId: "1", points: 2.5 },
      ]);
    } finally {
      await installation.stop();
    }
  });

  test("a mistake stops the start with its line number", async () => {
    const file = await written("  - name: REVIEW\n    price: -2\n");
    const lines = (await readFile(file, "utf8")).split("\n").length;
    const ended = await runMuster(["serve"], {
      MUSTER_DATA_DIR: join(folder, "data"),
      MUSTER_EVENT_CATALOG: file,
    });
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain(`${file}:${lines - 1}: price must be a number from 0`);
    const missing = await runMuster(["serve"], {
      MUSTER_DATA_DIR: join(folder, "data"),
      MUSTER_EVENT_CATALOG: join(folder, "nothing.yaml"),
    });
    expect(missing.code).toBe(1);
    expect(missing.stderr).toContain("MUSTER_EVENT_CATALOG names another file");
  });
});
