// Tests the REST contract with real processes in both modes.
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createOrganization } from "../harness/create-organization.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { Mailbox } from "../harness/mailbox.ts";
import { Partner } from "../harness/partner.ts";
import { RestClient } from "../harness/rest.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const DAY_MS = 86_400_000;

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  test("GET /version is v1 in plain text", async () => {
    const response = await rest.get("/version");
    expect([response.status, response.headers.get("content-type"), response.text]).toEqual([
      200,
      "text/plain; charset=utf-8",
      "v1",
    ]);
  });

  describe("profiles", () => {
    test("a created profile reads back with every field present", async () => {
      const traits = { plan: "pro", nested: { list: [1, 2.5, "x", null, true] }, big: 9007199254740991 };
      const created = await rest.post("/v1/profiles", { user_id: "ada", email: "Ada@example.test", traits });
      expect(created.status).toBe(201);
      expect(created.body).toEqual({
        id: expect.stringMatching(UUID),
        user_id: "ada",
        anonymous_id: null,
        email: "Ada@example.test",
        name: null,
        traits,
        create_time: expect.stringMatching(INSTANT),
        update_time: expect.stringMatching(INSTANT),
      });
      const read = await rest.get(`/v1/profiles/${created.body.id}`);
      expect([read.status, read.body]).toEqual([200, created.body]);
      const byAlias = await rest.get(`/api/profiles/${created.body.id}`);
      expect(byAlias.body).toEqual(created.body);
    });

    test("identities are compared byte for byte, emails by letter case ignored", async () => {
      for (const userId of ["Case", "case", "case ", "cäse", "013", "13"]) {
        expect((await rest.post("/v1/profiles", { user_id: userId })).status, userId).toBe(201);
      }
      const taken = await rest.post("/v1/profiles", { user_id: "case" });
      expect([taken.status, taken.body.reason]).toEqual([409, "PROFILE_IDENTITY_TAKEN"]);
      expect((await rest.post("/v1/profiles", { email: "mixed@Example.test" })).status).toBe(201);
      expect((await rest.post("/v1/profiles", { email: "MIXED@example.test" })).status).toBe(409);
      const found = await rest.get("/v1/profiles?user_id=case%20");
      expect(found.body.profiles.map((profile: { user_id: string }) => profile.user_id)).toEqual(["case "]);
      expect((await rest.get("/v1/profiles?email=mixed%40EXAMPLE.test")).body.profiles).toHaveLength(1);
    });

    test("PATCH changes the fields present, null clears, and an identity must remain", async () => {
      const { body } = await rest.post("/v1/profiles", { user_id: "patched", name: "Old", traits: { a: 1 } });
      const path = `/v1/profiles/${body.id}`;
      const changed = await rest.request("PATCH", path, { name: null, email: "p@example.test" });
      expect(changed.status).toBe(200);
      expect(changed.body).toMatchObject({
        name: null,
        email: "p@example.test",
        traits: { a: 1 },
        user_id: "patched",
      });
      const masked = await rest.request("PATCH", `${path}?update_mask=name`, {
        name: "New",
        email: "no@example.test",
      });
      expect(masked.body).toMatchObject({ name: "New", email: "p@example.test" });
      const bare = await rest.request("PATCH", path, { user_id: null, email: null });
      expect([bare.status, bare.body.code]).toEqual([400, "invalid_argument"]);
      expect((await rest.get(path)).body).toMatchObject({ user_id: "patched", email: "p@example.test" });
    });

    test("walking the list while profiles are added repeats nothing and skips nothing", async () => {
      const before = new Set<string>();
      for (let index = 0; index < 12; index += 1) {
        before.add((await rest.post("/v1/profiles", { anonymous_id: `walk-${index}` })).body.id);
      }
      const seen: string[] = [];
      let token = "";
      do {
        const page = await rest.get(`/v1/profiles?page_size=5&page_token=${encodeURIComponent(token)}`);
        seen.push(...page.body.profiles.map((profile: { id: string }) => profile.id));
        token = page.body.next_page_token;
        await rest.post("/v1/profiles", { anonymous_id: `walk-late-${token.slice(0, 24)}` });
      } while (token !== "" && seen.length < 500);
      expect(new Set(seen).size).toBe(seen.length);
      for (const id of before) expect(seen).toContain(id);
      const first = await rest.get("/v1/profiles?page_size=1");
      const foreign = await rest.get(
        `/v1/profiles?page_size=1&user_id=x&page_token=${encodeURIComponent(first.body.next_page_token)}`,
      );
      expect([foreign.status, foreign.body.reason]).toEqual([400, "PAGE_TOKEN_INVALID"]);
    });
  });

  describe("events", () => {
    test("POST /v1/events makes the profile, and the same event again is the same event", async () => {
      const event = {
        user_id: "buyer",
        name: "order.completed",
        properties: { total: 12.5, items: [{ sku: "a" }] },
        timestamp: "2025-03-01T12:00:00.123+02:00",
        event_id: "order-1",
      };
      const first = await rest.post("/v1/events", event);
      expect(first.status).toBe(201);
      expect(first.body).toMatchObject({
        event_id: "order-1",
        name: "order.completed",
        properties: event.properties,
        timestamp: "2025-03-01T10:00:00.123Z",
      });
      const again = await rest.post("/v1/events", event);
      expect([again.status, again.body]).toEqual([201, first.body]);
      const other = await rest.post("/v1/events", { ...event, properties: { total: 13 } });
      expect([other.status, other.body.reason]).toEqual([409, "EVENT_CONFLICT"]);
      const later = await rest.post("/v1/events", { ...event, timestamp: "2025-03-02T12:00:00Z" });
      expect(later.status).toBe(201);
      expect(later.body.id).not.toBe(first.body.id);
      // The alias path accepts only actions with amounts.
      expect((await rest.post("/api/events", event)).status).toBe(400);
      const { profile_id: id } = first.body;
      expect((await rest.get(`/v1/profiles/${id}`)).body.user_id).toBe("buyer");
      expect((await rest.all(`/v1/profiles/${id}/events`, "events")).map((found) => found.id)).toEqual([
        later.body.id,
        first.body.id,
      ]);
    });

    test("an event id without a time deduplicates too, and properties keep their numbers", async () => {
      const text =
        '{"user_id":"undated","name":"n","event_id":"u-1","properties":{"n":12345678901234567890,"f":1.10}}';
      const first = await rest.post("/v1/events", text);
      expect(first.status).toBe(201);
      expect(first.text).toContain('"n":12345678901234567890');
      const again = await rest.post("/v1/events", text);
      expect([again.status, again.body.id]).toEqual([201, first.body.id]);
      expect((await rest.post("/v1/events", text.replace('"n","event', '"m","event'))).status).toBe(409);
    });

    test("an event of a profile that is not there is 404 and stores nothing", async () => {
      const id = "01890000-0000-7000-8000-000000000000";
      for (const path of [`/v1/profiles/${id}/events`, "/v1/profiles/nonsense/events"]) {
        const response = await rest.post(path, { name: "x" });
        expect([response.status, response.body.reason], path).toEqual([404, "PROFILE_NOT_FOUND"]);
      }
      expect((await rest.post("/v1/events", { profile_id: id, name: "x" })).status).toBe(404);
      expect((await rest.get(`/v1/profiles/${id}/events`)).status).toBe(404);
    });

    test("a batch stores the good, reports the bad by index", async () => {
      const response = await rest.post("/v1/events:batch", {
        events: [
          { user_id: "batch", name: "one", timestamp: "2025-01-01T00:00:00Z", event_id: "b1" },
          { name: "nobody" },
          { user_id: "batch", name: 5 },
          "not an object",
          { user_id: "batch", name: "one", timestamp: "2025-01-01T00:00:00Z", event_id: "b1" },
          { user_id: "batch", name: "two", timestamp: "not a time" },
          { user_id: "batch", name: "two", color: "red" },
          { anonymous_id: "batch", name: "two" },
        ],
      });
      expect(response.status).toBe(200);
      expect(
        response.body.results.map((result: { index: number; status: string }) => [
          result.index,
          result.status,
        ]),
      ).toEqual([
        [0, "stored"],
        [1, "rejected"],
        [2, "rejected"],
        [3, "rejected"],
        [4, "duplicate"],
        [5, "rejected"],
        [6, "rejected"],
        [7, "stored"],
      ]);
      expect(response.body.results[2].error).toMatchObject({
        code: "invalid_argument",
        fields: [{ field: "name" }],
      });
      const { body } = await rest.get("/v1/profiles?user_id=batch");
      expect(await rest.all(`/v1/profiles/${body.profiles[0].id}/events`, "events")).toHaveLength(1);
    });

    test("the list filters by name and by inclusive bounds, a bare date as `to` covering its day", async () => {
      const times = ["2025-05-01T00:00:00.000Z", "2025-05-01T23:59:59.999Z", "2025-05-02T00:00:00.000Z"];
      for (const [index, timestamp] of times.entries()) {
        await rest.post("/v1/events", { user_id: "lister", name: index === 1 ? "b" : "a", timestamp });
      }
      const { body } = await rest.get("/v1/profiles?user_id=lister");
      const path = `/v1/profiles/${body.profiles[0].id}/events`;
      const stamps = async (query: string): Promise<string[]> =>
        (await rest.all(`${path}?${query}`, "events", 1)).map((event) => event.timestamp);
      expect(await stamps("")).toEqual(times.toReversed());
      expect(await stamps("to=2025-05-01")).toEqual([times[1], times[0]]);
      expect(await stamps("from=2025-05-02")).toEqual([times[2]]);
      expect(await stamps(`from=${times[1]}&to=${times[1]}`)).toEqual([times[1]]);
      expect(await stamps("name=a")).toEqual([times[2], times[0]]);
      expect(await stamps("name=a,b")).toHaveLength(3);
      expect(await stamps("name=a&name=b")).toHaveLength(3);
      expect(await stamps("name=c")).toEqual([]);
    });
  });

  describe("segments", () => {
    const members = async (segment: string): Promise<string[]> =>
      (await rest.all(`/v1/segments/${segment}/profiles`, "profiles", 2))
        .map((profile) => profile.user_id)
        .toSorted();

    test("a count segment over old and new events, right after each write", async () => {
      const now = Date.now();
      const view = (userId: string, msAgo: number) =>
        rest.post("/v1/events", {
          user_id: userId,
          name: "shoe.viewed",
          timestamp: new Date(now - msAgo).toISOString(),
        });
      for (const msAgo of [1, 2, 3]) await view("fan", msAgo);
      for (const msAgo of [1, 2, 8 * DAY_MS]) await view("lapsed", msAgo);
      const created = await rest.post("/v1/segments", {
        name: "Shoe fans",
        event_name: "shoe.viewed",
        min_count: 3,
      });
      expect(created.status).toBe(201);
      expect(created.body).toMatchObject({ slug: "shoe-fans", name: "Shoe fans", version: 1 });
      expect(Object.keys(created.body).toSorted()).toEqual(
        [
          "id",
          "slug",
          "name",
          "rule",
          "state",
          "progress",
          "member_count",
          "version",
          "create_time",
          "update_time",
        ].toSorted(),
      );
      expect(await members("shoe-fans")).toEqual(["fan", "lapsed"]);
      const recent = { name: "Recent fans", event_name: "shoe.viewed", min_count: 3, within_days: 7 };
      const windowed = await rest.post("/v1/segments", recent);
      expect(await members(windowed.body.id)).toEqual(["fan"]);
      await view("lapsed", 0);
      expect(await members("recent-fans")).toEqual(["fan", "lapsed"]);
      const read = await rest.get("/v1/segments/recent-fans");
      expect(read.body).toMatchObject({ state: "live", progress: 1, member_count: 2 });
      const same = await rest.post("/v1/segments", { ...recent, name: "recent  FANS" });
      expect([same.status, same.body.reason]).toEqual([409, "SEGMENT_NAME_TAKEN"]);
      const { body } = await rest.get("/v1/profiles?user_id=lapsed");
      const mine = await rest.all(`/v1/profiles/${body.profiles[0].id}/segments`, "segments", 1);
      expect(mine.map((segment) => segment.slug)).toEqual(["shoe-fans", "recent-fans"]);
      const gone = await rest.request("DELETE", `/v1/segments/${windowed.body.id}`);
      expect([gone.status, gone.text]).toEqual([204, ""]);
      expect((await rest.get("/v1/segments/recent-fans")).status).toBe(404);
      expect((await rest.get("/v1/segments/recent-fans/profiles")).status).toBe(404);
    });

    test("a rule is changed by PATCH: previewed, backfilled, then in force", async () => {
      for (const [user_id, times] of [
        ["once", 1],
        ["twice", 2],
        ["thrice", 3],
      ] as const) {
        for (let index = 0; index < times; index += 1) {
          await rest.post("/v1/events", { user_id, name: "patched.thing", event_id: `${user_id}-${index}` });
        }
      }
      await rest.post("/v1/segments", { name: "Patched", event_name: "patched.thing", min_count: 2 });
      expect(await members("patched")).toEqual(["thrice", "twice"]);
      const change = { name: "Patched anew", event_name: "patched.thing", min_count: 3, version: 1 };
      const dryRun = await rest.request("PATCH", "/v1/segments/patched?validate_only=true", change);
      expect([dryRun.status, dryRun.body.entering, dryRun.body.leaving]).toEqual([200, 0, 1]);
      const changed = await rest.request("PATCH", "/v1/segments/patched", change);
      expect(changed.body).toMatchObject({
        segment: { slug: "patched-anew", version: 2 },
        entering: null,
        leaving: null,
      });
      await waitFor(async () => (await rest.get("/v1/segments/patched-anew")).body.state === "live");
      expect(await members("patched-anew")).toEqual(["thrice"]);
      const stale = await rest.request("PATCH", "/v1/segments/patched-anew", change);
      expect([stale.status, stale.body.reason]).toEqual([409, "SEGMENT_VERSION_STALE"]);
      const unknown = await rest.request("PATCH", "/v1/segments/patched-anew", { slug: "x" });
      expect([unknown.status, unknown.body.reason]).toEqual([400, "REQUEST_MALFORMED"]);
    });

    test("the next read includes a small change of a rule", async () => {
      for (const [user_id, name] of [
        ["left", "small.first"],
        ["right", "small.second"],
      ] as const) {
        await rest.post("/v1/events", { user_id, name });
      }
      await rest.post("/v1/segments", { name: "Small", event_name: "small.first", min_count: 1 });
      expect(await members("small")).toEqual(["left"]);
      const states: string[] = [];
      for (const [event_name, member] of [
        ["small.second", "right"],
        ["small.first", "left"],
        ["small.second", "right"],
      ] as const) {
        const changed = await rest.request("PATCH", "/v1/segments/small", { event_name, min_count: 1 });
        const { state } = changed.body.segment;
        states.push(state);
        if (state === "live") expect(await members("small")).toEqual([member]);
        await waitFor(async () => (await rest.get("/v1/segments/small")).body.state === "live");
      }
      // A loaded machine may need more than two seconds for a change.
      expect(states).toContain("live");
    });

    test("abandoned-cart exists from the start and goes by event time", async () => {
      const at = (minute: number): string => new Date(Date.UTC(2025, 0, 1, 0, minute)).toISOString();
      const send = (userId: string, name: string, minute: number) =>
        rest.post("/v1/events", { user_id: userId, name, timestamp: at(minute) });
      await send("left", "cart.added", 5);
      await send("bought", "cart.added", 5);
      await send("bought", "order.completed", 6);
      await send("same-instant", "cart.added", 5);
      await send("same-instant", "order.completed", 5);
      await send("again", "order.completed", 5);
      await send("again", "cart.added", 6);
      await send("late-order", "cart.added", 5);
      expect(await members("abandoned-cart")).toEqual(["again", "late-order", "left"]);
      await send("late-order", "order.completed", 7);
      await send("again", "order.completed", 4);
      expect(await members("abandoned-cart")).toEqual(["again", "left"]);
      const page = await rest.get("/v1/segments/abandoned-cart/profiles");
      expect(page.body.profiles[0]).toMatchObject({
        entered_at: expect.stringMatching(INSTANT),
        email: null,
      });
    });

    test("a window ends by itself, to the second", async () => {
      const lifetimeMs = 2_500;
      const timestamp = new Date(Date.now() - DAY_MS + lifetimeMs).toISOString();
      await rest.post("/v1/events", { user_id: "passing", name: "seen", timestamp });
      await rest.post("/v1/segments", { name: "Seen", event_name: "seen", min_count: 1, within_days: 1 });
      expect(await members("seen")).toEqual(["passing"]);
      const ends = Date.parse(timestamp) + DAY_MS;
      await expect.poll(() => members("seen"), { timeout: 10_000, interval: 50 }).toEqual([]);
      expect(Date.now()).toBeGreaterThanOrEqual(ends);
      // A second is the aim; the rest is for a busy machine.
      expect(Date.now()).toBeLessThan(ends + 5_000);
    });

    test("an event of the future is stored and counts from its instant on", async () => {
      const timestamp = new Date(Date.now() + 2_000).toISOString();
      await rest.post("/v1/events", { user_id: "early", name: "future.thing", timestamp });
      await rest.post("/v1/segments", { name: "Futurists", event_name: "future.thing", min_count: 1 });
      expect(await members("futurists")).toEqual([]);
      await expect.poll(() => members("futurists"), { timeout: 10_000, interval: 50 }).toEqual(["early"]);
      expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(timestamp));
    });
  });

  describe("the organization", () => {
    test("has a time zone, in which the days of rules begin that name none", async () => {
      const own = async () => (await rest.get("/v1/organizations")).body.organizations[0];
      const { id, name, time_zone: before } = await own();
      expect(before).toBe("UTC");
      const changed = await rest.request("PATCH", `/v1/organizations/${id}`, { time_zone: "Asia/Tokyo" });
      expect([changed.status, changed.body]).toEqual([200, await own()]);
      expect(changed.body).toMatchObject({ id, name, time_zone: "Asia/Tokyo" });
      const rule = (more: object) => ({ active_days: { at_least: 2, of_last_days: 7, ...more } });
      const zoneOf = async (segment: object): Promise<string> => {
        const created = await rest.post("/v1/segments", segment);
        expect(created.status, created.text).toBe(201);
        return created.body.rule.active_days.time_zone;
      };
      expect(await zoneOf({ name: "Active", rule: rule({}) })).toBe("Asia/Tokyo");
      expect(await zoneOf({ name: "Active in Oslo", rule: rule({ time_zone: "Europe/Oslo" }) })).toBe(
        "Europe/Oslo",
      );
      const cleared = await rest.request("PATCH", `/v1/organizations/${id}`, { time_zone: null });
      expect(cleared.body.time_zone).toBe("UTC");
      // A saved rule keeps its days.
      expect((await rest.get("/v1/segments/active")).body.rule.active_days.time_zone).toBe("Asia/Tokyo");
      const refused = await rest.request("PATCH", `/v1/organizations/${id}`, { time_zone: "Mars/Olympus" });
      expect([refused.status, refused.body.fields[0].field]).toEqual([400, "time_zone"]);
      const foreign = "/v1/organizations/01980000-0000-7000-8000-000000000000";
      expect((await rest.request("PATCH", foreign, { name: "Mine" })).status).toBe(404);
    });
  });

  describe("conventions", () => {
    test("an idempotency key replays status and body, refuses another body, and doubles nothing", async () => {
      const key = { "idempotency-key": "order-77" };
      const body = { user_id: "careful", name: "clicked" };
      const first = await rest.post("/v1/events", body, key);
      const replay = await rest.post("/v1/events", body, key);
      expect([replay.status, replay.text]).toEqual([201, first.text]);
      expect(first.headers.get("idempotency-replayed")).toBeNull();
      expect(replay.headers.get("idempotency-replayed")).toBe("true");
      const other = await rest.post("/v1/events", { ...body, name: "typed" }, key);
      expect([other.status, other.body.reason]).toEqual([422, "IDEMPOTENCY_KEY_REUSED"]);
      const profile = (await rest.get("/v1/profiles?user_id=careful")).body.profiles[0];
      expect(await rest.all(`/v1/profiles/${profile.id}/events`, "events")).toHaveLength(1);
      const missing = { "idempotency-key": "missing-1" };
      const path = "/v1/profiles/01890000-0000-7000-8000-000000000000/events";
      const failed = await rest.post(path, { name: "x" }, missing);
      const failedAgain = await rest.post(path, { name: "x" }, missing);
      expect([failed.status, failedAgain.status, failedAgain.text]).toEqual([404, 404, failed.text]);
      expect(failedAgain.headers.get("idempotency-replayed")).toBe("true");
    });

    test("errors speak the language that the caller prefers", async () => {
      const path = "/v1/profiles/01890000-0000-7000-8000-000000000000";
      const german = await rest.request("GET", path, undefined, { "accept-language": "de-AT, en;q=0.5" });
      expect([german.status, german.headers.get("content-language"), german.headers.get("vary")]).toEqual([
        404,
        "de",
        "accept-language",
      ]);
      expect(german.body).toMatchObject({
        reason: "PROFILE_NOT_FOUND",
        message: "Dieses Profil gibt es nicht.",
      });
      const replayed = (language: string) =>
        rest.post(
          `${path}/events`,
          { name: "x" },
          { "idempotency-key": "told", "accept-language": language },
        );
      const english = await replayed("en");
      const dryRun = [await replayed("de"), await replayed("de")];
      expect(dryRun.map((response) => response.text)).toEqual([
        JSON.stringify({ ...english.body, message: "Dieses Profil gibt es nicht." }),
        dryRun[0]?.text,
      ]);
      expect((await replayed("en")).text).toBe(english.text);
    });

    test("twenty requests with one key at once have one effect", async () => {
      const send = () =>
        rest.post("/v1/events", { user_id: "crowd", name: "once" }, { "idempotency-key": "crowd" });
      const responses = await Promise.all(Array.from({ length: 20 }, send));
      const statuses = new Set(responses.map((response) => response.status));
      expect([...statuses].filter((status) => status !== 201 && status !== 409)).toEqual([]);
      const profile = (await rest.get("/v1/profiles?user_id=crowd")).body.profiles[0];
      expect(await rest.all(`/v1/profiles/${profile.id}/events`, "events")).toHaveLength(1);
    });

    test("API keys: made, listed without their secret, rotated, revoked at once", async () => {
      const made = await rest.post("/v1/api-keys", { name: "Reader", scopes: ["profiles.read"] });
      expect(made.status).toBe(201);
      const reader = new RestClient({ url: installation.url, apiKey: made.body.secret });
      expect((await reader.get("/v1/profiles")).status).toBe(200);
      const refused = await reader.post("/v1/profiles", { user_id: "no" });
      expect([refused.status, refused.body.code]).toEqual([403, "permission_denied"]);
      const basic = Buffer.from(`${made.body.secret}:`).toString("base64");
      const byBasic = await rest.request("GET", "/v1/profiles", undefined, {
        authorization: `Basic ${basic}`,
      });
      expect(byBasic.status).toBe(200);
      const listed = await rest.get("/v1/api-keys");
      expect(listed.text).not.toContain(made.body.secret);
      expect(listed.text).toContain(made.body.api_key.prefix);
      const rotated = await rest.post(`/v1/api-keys/${made.body.api_key.id}:rotate`, {});
      expect(rotated.status).toBe(201);
      const revoked = async (): Promise<number> => (await reader.get("/v1/profiles")).status;
      // Processes receive a revocation by broadcast: in production, another process may lag slightly.
      if (mode === "embedded") expect(await revoked()).toBe(401);
      else await expect.poll(revoked, { timeout: 2_000 }).toBe(401);
      const renewed = new RestClient({ url: installation.url, apiKey: rotated.body.secret });
      expect((await renewed.get("/v1/profiles")).status).toBe(200);
      expect((await rest.request("DELETE", `/v1/api-keys/${rotated.body.api_key.id}`)).status).toBe(204);
      await expect.poll(async () => (await renewed.get("/v1/profiles")).status, { timeout: 2_000 }).toBe(401);
    });

    test("organizations are isolated from each other", async () => {
      const { apiKey } = await createOrganization(installation, "Neighbor");
      const neighbor = new RestClient({ url: installation.url, apiKey });
      const mine = await rest.post("/v1/events", { user_id: "private", name: "secret.thing" });
      const segment = await rest.post("/v1/segments", {
        name: "Private",
        event_name: "secret.thing",
        min_count: 1,
      });
      for (const path of [
        `/v1/profiles/${mine.body.profile_id}`,
        `/v1/profiles/${mine.body.profile_id}/events`,
        `/v1/profiles/${mine.body.profile_id}/segments`,
        `/v1/segments/${segment.body.id}`,
        "/v1/segments/private",
        `/v1/segments/${segment.body.id}/profiles`,
      ]) {
        expect((await neighbor.get(path)).status, path).toBe(404);
      }
      expect((await neighbor.request("DELETE", `/v1/segments/${segment.body.id}`)).status).toBe(404);
      expect(
        (await neighbor.request("PATCH", `/v1/profiles/${mine.body.profile_id}`, { name: "x" })).status,
      ).toBe(404);
      expect((await neighbor.get("/v1/profiles")).body.profiles).toEqual([]);
      const segments = (await neighbor.get("/v1/segments")).body.segments;
      expect(segments.map((found: { slug: string }) => found.slug)).toEqual(["abandoned-cart"]);
    });
  });

  describe("provisioning", () => {
    const content = {
      external_id: "customer-1",
      organization_name: "Corner Shop",
      owner_email: "grace@example.test",
      owner_name: "Grace",
    };

    test("a partner creates an organization with its owner, once", async () => {
      const partner = await Partner.create(installation, "Alliance");
      const made = await partner.provision(content);
      expect(made.status).toBe(201);
      const { organization } = made.body;
      expect(made.body).toEqual({
        organization: {
          id: expect.stringMatching(UUID),
          name: "Corner Shop",
          time_zone: "UTC",
          require_two_factor: false,
          member_count: 1,
          delete_time: null,
          version: 1,
          create_time: expect.stringMatching(INSTANT),
          update_time: organization.create_time,
        },
        owner: {
          id: expect.stringMatching(UUID),
          email: "grace@example.test",
          name: "Grace",
          role: "owner",
          status: "active",
          verified: false,
          last_login_at: null,
          login_count: 0,
          version: 1,
          create_time: organization.create_time,
          update_time: organization.create_time,
        },
      });
      const again = await partner.provision(content);
      expect([again.status, again.body]).toEqual([201, made.body]);
      const conflict = await partner.provision({ ...content, owner_name: "Eve" });
      expect([conflict.status, conflict.body.reason]).toEqual([409, "PROVISIONING_CONFLICT"]);
      const invalid = await partner.provision({ ...content, nope: 1 });
      expect([invalid.status, invalid.body.fields]).toMatchObject([400, [{ field: "nope" }]]);
      const other = await (await Partner.create(installation, "Other")).provision(content);
      expect(other.body.organization.id).not.toBe(organization.id);

      // The mail server of production mode is in other tests.
      if (mode === "production") return;
      const token = await Mailbox.of(installation).nextToken("grace@example.test");
      const account = { email: "grace@example.test", password: "correct horse battery staple" };
      const reset = await rest.post("/v1/password:reset", { token, password: account.password });
      expect(reset.status).toBe(200);
      const login = await rest.post("/v1/login", account);
      const grace = new RestClient({ url: installation.url, apiKey: login.body.access_token });
      const { body } = await grace.get("/v1/segments");
      expect(body.segments.map(({ slug }: { slug: string }) => slug).sort()).toEqual([
        "abandoned-cart",
        "active-in-the-last-7-days",
        "active-on-5-of-the-last-30-days",
        "inactive-for-30-days",
      ]);
    });

    test("a request without a valid signature is 401, whatever the body is", async () => {
      const partner = await Partner.create(installation, "Careful");
      const text = JSON.stringify({ ...content, external_id: "customer-2" });
      const refused: [string, string, Record<string, string>][] = [
        ["a signature of another body", `${text} `, { "x-signature": partner.signature(text) }],
        ["broken JSON", "{", { "x-signature": partner.signature(text) }],
        ["a list", "[]", { "x-signature": "" }],
        ["an old signature", text, { "x-signature": partner.signature(text, 310) }],
        ["a signature of the future", text, { "x-signature": partner.signature(text, -310) }],
        ["an API key", text, { "x-api-key": installation.apiKey }],
        ["letters beyond ASCII", text, { "x-api-key": "clé" }],
      ];
      for (const [what, body, headers] of refused) {
        const response = await partner.provision(body, headers);
        expect([response.status, response.body.reason], what).toEqual([401, "UNAUTHENTICATED"]);
      }
      const bad: [unknown, number, string?][] = [
        ["{", 400],
        ["[]", 400],
        [`{"external_id":"a","external_id":"b"}`, 400, "external_id"],
        [`${'{"a":'.repeat(200)}1${"}".repeat(200)}`, 400, "a"],
        [{ ...content, external_id: 7 }, 400, "external_id"],
        [{ ...content, external_id: "x".repeat(256) }, 400, "external_id"],
        [{ ...content, organization_name: "" }, 400, "organization_name"],
        [{ ...content, owner_email: "nobody" }, 400, "owner_email"],
        [{ ...content, owner_name: "a\nb" }, 400, "owner_name"],
        [{ ...content, raw_body: "e30=" }, 400, "raw_body"],
        [{ ...content, owner_name: "x".repeat(20_000) }, 413],
      ];
      for (const [body, status, field] of bad) {
        const response = await partner.provision(body);
        const found = [response.status, response.body.fields[0]?.field];
        expect(found, JSON.stringify(body).slice(0, 80)).toEqual([status, field]);
      }
      const keyOnly = await rest.post("/v1/provisioning/organizations", text);
      expect(keyOnly.status).toBe(401);
      const connect = "/muster.identity.v1.ProvisioningService/ProvisionOrganization";
      expect((await rest.post(connect, text)).status).toBe(404);
      const alias = await rest.post("/api/provisioning/organizations", text, {
        "x-api-key": partner.key,
        "x-signature": partner.signature(text, 290),
      });
      expect(alias.status).toBe(201);
    });
  });
});
