// Tests signing in over REST.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

const EMAIL = "owner@demo.test";

describe("sessions over REST", () => {
  let installation: Installation;
  let password: string;

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    const folder = installation.variables.MUSTER_DATA_DIR ?? "";
    password = (await readFile(join(folder, "demo-owner-password"), "utf8")).trim();
  });
  afterAll(() => installation?.stop());

  const by = (credential: string) => new RestClient({ url: installation.url, apiKey: credential });
  const anybody = () => by("expired");
  const login = (body: object = {}, headers = {}) =>
    anybody().post("/v1/login", { email: EMAIL, password, ...body }, headers);

  const refused = (response: RestResponse, status: number, reason: string) => {
    expect(response.body).toMatchObject({ reason });
    expect(response.status).toBe(status);
    expect(response.headers.get("set-cookie")).toBeNull();
  };

  test("a login returns exactly the fields of the contract, and no cookie", async () => {
    const { status, body, headers } = await login();
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(
      ["access_token", "device_token", "expires_in", "refresh_token", "token_type"].sort(),
    );
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 300 });
    expect(headers.get("set-cookie")).toBeNull();
    expect(headers.get("cache-control")).toContain("no-store");
    const me = await by(body.access_token).get("/v1/organizations");
    expect(me.status).toBe(200);
  });

  test("a refresh, with an ended access token beside it, returns device_token null", async () => {
    const { body } = await login();
    const next = await by("garbled.access.token").post("/v1/token:refresh", {
      refresh_token: body.refresh_token,
    });
    expect(next.status).toBe(200);
    expect(next.body).toMatchObject({ token_type: "Bearer", expires_in: 300, device_token: null });
    refused(await anybody().post("/v1/token:refresh", { refresh_token: "garbled" }), 401, "UNAUTHENTICATED");
  });

  test("sessions are listed and ended; an ended one is 401 SESSION_ENDED everywhere", async () => {
    const [own, other] = [(await login()).body, (await login()).body];
    const client = by(own.access_token);
    const { status, body } = await client.get("/v1/sessions");
    expect(status).toBe(200);
    const current = body.sessions.filter((session: { current: boolean }) => session.current);
    expect(current).toHaveLength(1);
    expect(Object.keys(current[0]).sort()).toEqual(
      ["client", "client_address", "create_time", "current", "id", "last_used_time"].sort(),
    );
    expect(current[0].client_address).toBe("127.0.0.1");
    const { sid } = JSON.parse(Buffer.from(other.access_token.split(".")[1], "base64url").toString());
    expect((await client.request("DELETE", `/v1/sessions/${sid}`)).status).toBe(204);
    refused(await client.request("DELETE", `/v1/sessions/${sid}`), 404, "SESSION_NOT_FOUND");
    refused(await by(other.access_token).get("/v1/sessions"), 401, "SESSION_ENDED");
    refused(await by(other.access_token).get("/v1/segments"), 401, "SESSION_ENDED");
    const dead = { refresh_token: other.refresh_token };
    refused(await anybody().post("/v1/token:refresh", dead), 401, "SESSION_ENDED");

    const third = (await login()).body;
    expect((await client.post("/v1/sessions:revoke-others", {})).status).toBe(204);
    refused(await by(third.access_token).get("/v1/sessions"), 401, "SESSION_ENDED");
    expect((await client.post("/v1/logout", {})).status).toBe(204);
    refused(await client.get("/v1/sessions"), 401, "SESSION_ENDED");
  });

  test("a switch returns tokens for the other organization", async () => {
    const { body } = await login();
    const client = by(body.access_token);
    const created = await client.post("/v1/organizations", { name: "Second" });
    expect(created.status).toBe(201);
    const switched = await client.post("/v1/token:switch-organization", { organization_id: created.body.id });
    expect(switched.status).toBe(200);
    expect(switched.body.device_token).toBeNull();
    const { org } = JSON.parse(Buffer.from(switched.body.access_token.split(".")[1], "base64url").toString());
    expect(org).toBe(created.body.id);
    refused(
      await client.post("/v1/token:switch-organization", { organization_id: "x" }),
      404,
      "ORGANIZATION_NOT_FOUND",
    );
  });

  test("persons' methods refuse keys with 403 and strangers with 401", async () => {
    refused(await by(installation.apiKey).get("/v1/sessions"), 403, "PERMISSION_DENIED");
    refused(await anybody().get("/v1/sessions"), 401, "UNAUTHENTICATED");
  });

  test("the same Idempotency-Key repeats the tokens, but only with the password", async () => {
    const key = { "idempotency-key": "once" };
    const first = await login({}, key);
    const again = await login({}, key);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([200, "true"]);
    expect(again.body).toEqual(first.body);
    refused(await login({ password: "a wrong password" }, key), 401, "LOGIN_FAILED");
  });

  test("five wrong passwords are 401, then 429 with Retry-After; a known device gets in", async () => {
    const { body } = await login();
    for (let failure = 0; failure < 5; failure += 1) {
      refused(await login({ password: "a wrong password" }), 401, "LOGIN_FAILED");
    }
    const locked = await login();
    refused(locked, 429, "LOGIN_LOCKED");
    const seconds = Number(locked.headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(880);
    expect(seconds).toBeLessThanOrEqual(900);
    expect((await login({ device_token: body.device_token })).status).toBe(200);
  });

  test("a garbled link unlocks nothing", async () => {
    refused(await anybody().post("/v1/account:unlock", { token: "garbled" }), 400, "TOKEN_INVALID");
  });

  test("a password that is too long is 400, and a body of a megabyte is 413", async () => {
    refused(await login({ password: "x".repeat(1_025) }), 400, "FIELD_INVALID");
    refused(await login({ password: "x".repeat(1_048_576) }), 413, "TOO_LARGE");
  });
});
