// Tests organizations of users over REST: who creates and lists them, the limit, and their isolation.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

const OWNED_MAX = 3;

let installation: Installation;
let key: RestClient;
let owner: RestClient;

beforeAll(async () => {
  installation = await startInstallation("embedded", {
    MUSTER_MAX_ORGANIZATIONS_PER_USER: String(OWNED_MAX),
  });
  key = new RestClient(installation);
  const file = join(installation.variables.MUSTER_DATA_DIR ?? "", "demo-owner-password");
  const password = readFileSync(file, "utf8").trim();
  const login = await key.post("/v1/login", { email: "owner@demo.test", password });
  owner = as(login.body.access_token);
});
afterAll(async () => installation?.stop());

function as(accessToken: string): RestClient {
  return new RestClient({ url: installation.url, apiKey: accessToken });
}

async function names(client: RestClient): Promise<string[]> {
  const { body } = await client.get("/v1/organizations");
  return body.organizations.map(({ name }: { name: string }) => name);
}

test("a user creates organizations up to the limit, and a key creates none", async () => {
  const refused = await key.post("/v1/organizations", { name: "By key" });
  expect([refused.status, refused.body.reason]).toEqual([403, "PERMISSION_DENIED"]);

  const again = { "idempotency-key": "shop" };
  const made = await owner.post("/v1/organizations", { name: "Shop", time_zone: "Europe/Berlin" }, again);
  expect(made.status).toBe(201);
  expect(made.body).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    name: "Shop",
    time_zone: "Europe/Berlin",
    require_two_factor: false,
    member_count: 1,
    delete_time: null,
    version: 1,
    create_time: expect.any(String),
    update_time: made.body.create_time,
  });
  const replayed = await owner.post("/v1/organizations", { name: "Shop", time_zone: "Europe/Berlin" }, again);
  expect([replayed.body, replayed.headers.get("idempotency-replayed")]).toEqual([made.body, "true"]);

  // The demo organization counts too.
  expect((await owner.post("/v1/organizations", { name: "Third" })).status).toBe(201);
  const fourth = await owner.post("/v1/organizations", { name: "Fourth" });
  expect([fourth.status, fourth.body.reason]).toEqual([409, "ORGANIZATION_LIMIT"]);
  expect((await names(owner)).sort()).toEqual(["Demo", "Shop", "Third"]);
  expect(await names(key)).toEqual(["Demo"]);
});

test("a session of another organization reads and changes that organization alone", async () => {
  const listed = await owner.get("/v1/organizations");
  const shop = listed.body.organizations.find(({ name }: { name: string }) => name === "Shop");
  const switched = await owner.post("/v1/token:switch-organization", { organization_id: shop.id });
  expect(switched.status).toBe(200);
  const inShop = as(switched.body.access_token);
  const event = await inShop.post("/v1/events", { user_id: "shopper", name: "product.viewed" });
  expect(event.status).toBe(201);
  const path = `/v1/profiles/${event.body.profile_id}`;
  expect([(await inShop.get(path)).status, (await owner.get(path)).status]).toEqual([200, 404]);

  const renamed = await inShop.request("PATCH", `/v1/organizations/${shop.id}`, { name: "Corner Shop" });
  expect([renamed.status, renamed.body.name]).toEqual([200, "Corner Shop"]);
  const read = await inShop.get(`/v1/organizations/${shop.id}`);
  expect([read.status, read.body]).toEqual([200, renamed.body]);
  const etag = read.headers.get("etag") ?? "";
  const notModified = await inShop.request("GET", `/v1/organizations/${shop.id}`, undefined, {
    "if-none-match": etag,
  });
  expect(notModified.status).toBe(304);
  expect((await owner.get(`/v1/organizations/${shop.id}`)).status).toBe(404);

  const patch = (body: object, headers: Record<string, string> = {}) =>
    inShop.request("PATCH", `/v1/organizations/${shop.id}`, body, headers);
  const again = await patch({ time_zone: "UTC" }, { "if-match": etag });
  expect([again.status, again.body.version]).toEqual([200, read.body.version + 1]);
  const stale = await patch({ time_zone: "Asia/Tokyo" }, { "if-match": etag });
  expect([stale.status, stale.body.reason]).toEqual([412, "ETAG_MISMATCH"]);
  const conflict = await patch({ name: "Old", version: read.body.version });
  expect([conflict.status, conflict.body.reason]).toEqual([409, "VERSION_CONFLICT"]);
  const named = await patch({ name: "Corner", version: again.body.version });
  expect([named.status, named.body.name, named.body.time_zone]).toEqual([200, "Corner", "UTC"]);
  const fromDemo = await owner.request("PATCH", `/v1/organizations/${shop.id}`, { name: "Mine" });
  expect([fromDemo.status, fromDemo.body.reason]).toEqual([404, "ORGANIZATION_NOT_FOUND"]);
});
