// Tests members over REST: entity tags, versions, the last owner, literal paths beside ids, and exports.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { Mailbox } from "../harness/mailbox.ts";
import { RestClient } from "../harness/rest.ts";

let installation: Installation;
let key: RestClient;
let owner: RestClient;
let path: string;

beforeAll(async () => {
  installation = await startInstallation("embedded");
  key = new RestClient(installation);
  const file = join(installation.variables.MUSTER_DATA_DIR ?? "", "demo-owner-password");
  const password = readFileSync(file, "utf8").trim();
  const login = await key.post("/v1/login", { email: "owner@demo.test", password });
  owner = new RestClient({ url: installation.url, apiKey: login.body.access_token });
  path = `/v1/users/${(await owner.get("/v1/me")).body.id}`;
});
afterAll(async () => installation?.stop());

test("a member has every field, and an entity tag that saves a second body", async () => {
  const read = await owner.get(path);
  expect(read.status, read.text).toBe(200);
  expect(read.body).toEqual({
    id: path.replace("/v1/users/", ""),
    email: "owner@demo.test",
    name: expect.any(String),
    role: "owner",
    status: "active",
    verified: true,
    last_login_at: expect.stringMatching(/Z$/),
    login_count: 1,
    version: 1,
    create_time: expect.stringMatching(/Z$/),
    update_time: expect.stringMatching(/Z$/),
  });
  const etag = read.headers.get("etag") ?? "";
  expect((await owner.request("GET", path, undefined, { "if-none-match": etag })).status).toBe(304);
});

test("a change names the version that it is based on", async () => {
  const { headers, body } = await owner.get(path);
  const etag = headers.get("etag") ?? "";
  const patch = (change: object, more: Record<string, string> = {}) =>
    owner.request("PATCH", path, change, more);
  expect((await patch({ name: "Olga" })).status).toBe(428);
  expect((await patch({ name: "Olga", version: body.version + 1 })).status).toBe(409);
  expect((await patch({ name: "Olga" }, { "if-match": '"99"' })).status).toBe(412);
  const changed = await patch({ name: "Olga" }, { "if-match": etag });
  expect([changed.status, changed.body.name, changed.body.version]).toEqual([200, "Olga", body.version + 1]);
  expect(changed.headers.get("etag")).not.toBe(etag);
  expect((await patch({ name: "Olga B." }, { "if-match": etag })).status).toBe(412);
  const again = await patch({ name: "Olga B.", version: changed.body.version });
  expect([again.status, again.body.name]).toEqual([200, "Olga B."]);
});

test("the last owner stays, and a key changes no owner", async () => {
  const refusals = [
    await owner.request("PATCH", path, { role: "member" }, { "if-match": "*" }),
    await owner.request("DELETE", path),
    await owner.request("DELETE", "/v1/users/me"),
    await owner.post(`${path}:suspend`, {}),
  ];
  for (const { status, body } of refusals) expect([status, body.reason]).toEqual([409, "LAST_OWNER"]);
  expect((await key.request("DELETE", path)).status).toBe(403);
  expect((await key.post(`${path}:suspend`, {})).status).toBe(403);
  expect((await owner.get(path)).body).toMatchObject({ role: "owner", status: "active" });
});

test("a literal path wins over an id for every verb", async () => {
  for (const literal of ["/v1/users/events", "/api/users/events"]) {
    const refused = await owner.request("DELETE", literal);
    expect([refused.status, refused.body.reason]).toEqual([405, "METHOD_NOT_ALLOWED"]);
  }
  expect((await owner.request("GET", "/v1/users/me")).status).toBe(405);
});

test("nothing that a mail scanner can open claims an export, and the requester downloads it once", async () => {
  const accepted = await owner.post(`${path}/export`, {});
  expect(accepted.status, accepted.text).toBe(202);
  const { result } = await waitFor(
    async () => {
      const { body } = await owner.get(`/v1/operations/${accepted.body.operation.id}`);
      return body.state === "succeeded" ? body : undefined;
    },
    { what: "the export", timeoutMs: 30_000 },
  );
  const mailbox = Mailbox.of(installation);
  const mail = await waitFor(
    async () => {
      const next = await mailbox.next("owner@demo.test");
      return /export/.test(next.subject) ? next : undefined;
    },
    { what: "the mail about the export", timeoutMs: 30_000 },
  );
  expect(`${mail.text}${mail.html}`).not.toMatch(/https?:/);
  expect(`${mail.text}${mail.html}`).not.toContain(result.token);
  const download = `/v1/exports/${result.token}`;
  const scanner = new RestClient({ url: installation.url, apiKey: undefined });
  for (const method of ["HEAD", "GET"]) expect((await scanner.request(method, download)).status).toBe(401);
  expect((await key.request("GET", download)).status).toBe(404);
  const head = await owner.request("HEAD", download);
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(result.size)]);
  expect((await owner.get(download)).status).toBe(200);
  const again = await owner.get(download);
  expect([again.status, again.body.reason]).toEqual([410, "EXPORT_CLAIMED"]);
});

test("ended sessions are 401 at once", async () => {
  expect((await owner.post(`${path}:revoke-sessions`, {})).status).toBe(204);
  const refused = await owner.get(path);
  expect([refused.status, refused.body.reason]).toEqual([401, "SESSION_ENDED"]);
});
