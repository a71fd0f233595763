// Sends hostile and mistaken input to every route of accounts: each response has the envelope of the contract, and
// no request changes the account. Each route has a table; the last test fails for a route without a table.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient, type RestResponse } from "../harness/rest.ts";

const NOBODY = "01890000-0000-7000-8000-000000000000";
const EMAIL = "owner@demo.test";
const PASSWORD = "correct horse battery staple";
const long = (length: number): string => "x".repeat(length);
const deep = `${'{"a":'.repeat(200)}1${"}".repeat(200)}`;

/** The body (text as it is), the expected status, and the field named by the error. */
type Case = readonly [title: string, body: unknown, status: number, field?: string];

const anyBody: readonly Case[] = [
  ["broken JSON", '{"name":', 400],
  ["a list", "[]", 400],
  ["too deep", deep, 400],
  ["an unknown field", { nope: 1 }, 400, "nope"],
];

const noEmail: readonly Case[] = [
  ["an address that is a number", { email: 1 }, 400, "email"],
  ["a long address", { email: long(321) }, 400, "email"],
];
const noToken: readonly Case[] = [
  ["a token that is a number", { token: 1 }, 400, "token"],
  ["a long token", { token: long(513) }, 400, "token"],
  ["an unknown token", { token: long(43) }, 400],
];

/** Routes that everybody may call. */
const publicRoutes: Readonly<Record<string, readonly Case[]>> = {
  "POST /v1/register": [
    ["no address", { password: PASSWORD, name: "A" }, 400, "email"],
    ["an address that is none", { email: "nobody", password: PASSWORD, name: "A" }, 400, "email"],
    ["no name", { email: "a@b.test", password: PASSWORD }, 400, "name"],
    ["a name of two lines", { email: "a@b.test", password: PASSWORD, name: "A\nB" }, 400, "name"],
    ["a long name", { email: "a@b.test", password: PASSWORD, name: long(101) }, 400, "name"],
    ["a short password", { email: "a@b.test", password: "short", name: "A" }, 400, "password"],
    ["a password of 1,025 bytes", { email: "a@b.test", password: long(1_025), name: "A" }, 400, "password"],
    ["a password that everybody uses", { email: "a@b.test", password: "password1234", name: "A" }, 400],
    ["a password of 1 MB", { email: "a@b.test", password: long(1_000_000), name: "A" }, 413],
  ],
  "POST /v1/verify-email": noToken,
  "POST /v1/verify-email:resend": noEmail,
  "POST /v1/login": [
    ...noEmail,
    ["a password that is a number", { email: EMAIL, password: 1 }, 400, "password"],
    ["a password of 1,025 bytes", { email: EMAIL, password: long(1_025) }, 400, "password"],
    ["a password of 1 MB", { email: EMAIL, password: long(1_000_000) }, 413],
  ],
  "POST /v1/login:two-factor": [
    ["a number as code", { challenge: "x", code: 123456 }, 400, "code"],
    ["a long code", { challenge: "x", code: long(65) }, 400, "code"],
    ["an unknown challenge", { challenge: "x", code: "123456" }, 401],
  ],
  "POST /v1/magic-link": [
    ...noEmail,
    ["a challenge that is no digest", { email: "a@b.test", code_challenge: "short" }, 400, "code_challenge"],
  ],
  "POST /v1/magic-link:redeem": [
    ["neither token nor code", {}, 400, "token"],
    ["a code without a verifier", { code: "123456" }, 400, "code_verifier"],
    ["an unknown token", { token: long(43) }, 401],
  ],
  "POST /v1/password:forgot": noEmail,
  "POST /v1/password:reset": [
    ["a short password", { token: long(43), password: "short" }, 400, "password"],
    ["an unknown token", { token: long(43), password: PASSWORD }, 400],
  ],
  "POST /v1/account:unlock": noToken,
  "POST /v1/token:refresh": [
    ["a number as token", { refresh_token: 1 }, 400, "refresh_token"],
    ["an unknown token", { refresh_token: "x" }, 401],
  ],
  "POST /v1/me/email:confirm": noToken,
  "POST /v1/me/email:undo": noToken,
  "POST /v1/me/deletion-request:confirm": noToken,
  "POST /v1/two-factor:recover": [["an unknown challenge", { challenge: "x" }, 401]],
  "POST /v1/two-factor:recover-confirm": noToken,
  "POST /v1/two-factor:recover-cancel": noToken,
};

/** Routes of a signed-in user. */
const userRoutes: Readonly<Record<string, readonly Case[]>> = {
  "POST /v1/organizations": [
    ["no name", {}, 400, "name"],
    ["a long name", { name: long(256) }, 400, "name"],
    ["a time zone that is none", { name: "x", time_zone: "Mars/Olympus" }, 400, "time_zone"],
  ],
  [`POST /v1/organizations/${NOBODY}:undelete`]: [["an unknown organization", {}, 404]],
  "POST /v1/password:change": [
    ["a short password", { current_password: "x", password: "short" }, 400, "password"],
  ],
  "PATCH /v1/me": [
    ["an empty name", { name: "" }, 400, "name"],
    ["no name at all", { name: null }, 400, "name"],
    ["a name of two lines", { name: "A\nB" }, 400, "name"],
    ["an unknown language", { locale: "xx" }, 400, "locale"],
    ["another address", { email: "a@b.test" }, 400, "email"],
  ],
  "POST /v1/me/email": [...noEmail, ["an address that is none", { email: "nobody" }, 400, "email"]],
  "POST /v1/me:reauthenticate": [
    ["neither password nor code", {}, 400],
    ["both", { password: PASSWORD, code: "123456" }, 400],
  ],
  "POST /v1/token:switch-organization": [
    ["a number", { organization_id: 1 }, 400, "organization_id"],
    ["an unknown organization", { organization_id: NOBODY }, 404],
    ["text that is no id", { organization_id: "somewhere" }, 404],
  ],
  "POST /v1/invitations:accept": noToken,
  "POST /v1/me/deletion-request": [],
  "POST /v1/logout": [],
  "POST /v1/sessions:revoke-others": [],
  "POST /v1/two-factor:enroll": [],
  "POST /v1/two-factor:confirm": [["no enrollment", { code: "123456" }, 409]],
  "POST /v1/two-factor:disable": [["no second factor", {}, 409]],
  "POST /v1/two-factor/backup-codes": [["no second factor", {}, 409]],
};

const queries: Readonly<Record<string, readonly (readonly [path: string, status: number])[]>> = {
  "GET /v1/me": [["/v1/me?all=1", 400]],
  "GET /v1/me/activity": [
    ["/v1/me/activity?page_size=501", 400],
    ["/v1/me/activity?page_token=garbled", 400],
  ],
  "GET /v1/sessions": [
    ["/v1/sessions?page_size=ten", 400],
    ["/v1/sessions?page_token=garbled", 400],
  ],
  "DELETE /v1/organizations/{}": [
    [`/v1/organizations/${NOBODY}`, 404],
    ["/v1/organizations/nothing", 404],
  ],
  "DELETE /v1/sessions/{}": [
    [`/v1/sessions/${NOBODY}`, 404],
    ["/v1/sessions/nothing", 404],
  ],
};

describe("bad input to accounts", () => {
  let installation: Installation;
  let anybody: RestClient;
  let user: RestClient;
  let withKey: RestClient;
  let before: unknown;

  const everything = async (): Promise<unknown> => ({
    me: (await user.get("/v1/me")).body,
    sessions: (await user.get("/v1/sessions")).body,
    activities: (await user.get("/v1/me/activity")).body,
    organizations: (await user.get("/v1/organizations")).body,
  });

  beforeAll(async () => {
    installation = await startInstallation("embedded");
    anybody = new RestClient({ url: installation.url, apiKey: undefined });
    withKey = new RestClient(installation);
    const file = join(installation.variables.MUSTER_DATA_DIR ?? "", "demo-owner-password");
    const password = (await readFile(file, "utf8")).trim();
    const login = await anybody.post("/v1/login", { email: EMAIL, password });
    expect(login.status, login.text).toBe(200);
    user = new RestClient({ url: installation.url, apiKey: login.body.access_token });
    before = await everything();
  });
  afterAll(async () => installation?.stop());

  const expectEnvelope = (result: RestResponse, status: number, field?: string): void => {
    expect(result.status, result.text).toBe(status);
    expect(Object.keys(result.body).toSorted()).toEqual(
      ["code", "reason", "message", "fields", "details", "request_id"].toSorted(),
    );
    expect(result.text).not.toMatch(/at .*\.ts:|select |insert |node_modules|muster\.identity\.v1/i);
    if (field !== undefined)
      expect(result.body.fields.map((named: { field: string }) => named.field)).toContain(field);
  };

  const describeRoute = (route: string, cases: readonly Case[], isPublic: boolean): void => {
    const [method = "", path = ""] = route.split(" ");
    for (const [title, body, status, field] of [...anyBody, ...cases]) {
      test(`${route}: ${title}`, async () => {
        const caller = isPublic ? anybody : user;
        expectEnvelope(await caller.request(method, path, body), status, field);
      });
    }
    test(`${route}: not JSON, a wrong method, wrong credentials`, async () => {
      const form = { "content-type": "application/x-www-form-urlencoded" };
      expectEnvelope(await (isPublic ? anybody : user).request(method, path, "a=1", form), 415);
      const wrong = await user.request("PUT", path, {});
      expectEnvelope(wrong, 405);
      expect(wrong.headers.get("allow")).toContain(method);
      const authorization = "Bearer mk_wrong";
      const refused = await anybody.request(method, path, "[]", { authorization });
      // Public routes ignore the header and read the body.
      expectEnvelope(refused, isPublic ? 400 : 401);
      if (!isPublic) expectEnvelope(await withKey.request(method, path, "[]"), 403);
    });
  };

  for (const [route, cases] of Object.entries(publicRoutes)) describeRoute(route, cases, true);
  for (const [route, cases] of Object.entries(userRoutes)) describeRoute(route, cases, false);
  for (const [route, cases] of Object.entries(queries)) {
    const [method = ""] = route.split(" ");
    for (const [path, status] of cases) {
      test(`${method} ${path}`, async () => {
        expectEnvelope(await user.request(method, path), status);
        expectEnvelope(await anybody.request(method, path), 401);
        expectEnvelope(await withKey.request(method, path), 403);
      });
    }
  }

  test("after all of it, the account is as it was", async () => {
    expect(await everything()).toEqual(before);
  });

  test("every route has its table", async () => {
    const golden = await readFile(new URL("../golden/routes.txt", import.meta.url), "utf8");
    const isOfAccounts =
      /\.(Account|Session|TwoFactor|MagicLink)Service\.|\.(CreateOrganization|AcceptInvitation|RequestAccountDeletion|ConfirmAccountDeletion) /;
    const lines = golden.split("\n").filter((line) => isOfAccounts.test(line));
    const routes = lines.join("\n").match(/\b(GET|POST|PATCH|PUT|DELETE)\s+\/v1\S*/g) ?? [];
    const tables = new Set([publicRoutes, userRoutes, queries].flatMap((table) => Object.keys(table)));
    expect(routes.length).toBeGreaterThan(30);
    expect(
      routes.map((route) => route.replaceAll(/\{[^}]*\}/g, "{}")).filter((route) => !tables.has(route)),
    ).toEqual([]);
  });
});
