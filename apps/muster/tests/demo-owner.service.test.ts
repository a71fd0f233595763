// Tests the owner of the demo organization: made once with a password in a file, also in an older data folder.
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite, type Transaction } from "@muster/db";
import { freePort, waitFor } from "@muster/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { MusterProcess, runMuster } from "../../../tests/harness/process.ts";

const folder = mkdtempSync(join(tmpdir(), "muster-owner-"));
const EMAIL = "owner@demo.test";
const ALL_SCOPES = { name: "All", scopes: ["*"] };

describe("the owner of the demo organization", { timeout: 60_000 }, () => {
  let dataDir: string;
  let url: string;
  let variables: Readonly<Record<string, string>>;
  let server: MusterProcess;

  beforeEach(async () => {
    dataDir = mkdtempSync(join(folder, "data-"));
    const httpPort = await freePort();
    url = `http://127.0.0.1:${httpPort}`;
    variables = {
      MUSTER_DATA_DIR: dataDir,
      MUSTER_HTTP_PORT: String(httpPort),
      MUSTER_GRPC_PORT: String(await freePort()),
    };
    const logPath = join(folder, `${httpPort}.log`);
    server = new MusterProcess({ args: ["serve"], variables, healthUrl: url, logPath });
  });
  afterEach(() => server.end("SIGKILL"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const passwordFile = () => join(dataDir, "demo-owner-password");
  const password = () => readFileSync(passwordFile(), "utf8").trim();

  async function call(path: string, body: object | undefined, token?: string) {
    const response = await fetch(`${url}${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  async function signIn(email = EMAIL): Promise<{ status: number; token: string }> {
    const { status, body } = await call("/v1/login", { email, password: password() });
    return { status, token: String(body.access_token) };
  }

  async function organizationNames(token: string): Promise<string[]> {
    const { body } = await call("/v1/organizations", undefined, token);
    return (body.organizations as { name: string }[]).map(({ name }) => name).sort();
  }

  /** Changes identity's database while no server runs. */
  async function change(body: (trx: Transaction) => Promise<unknown>): Promise<void> {
    const database = await openSqlite({ path: join(dataDir, "identity.sqlite") });
    await database.transaction(async (trx) => void (await body(trx)));
    await database.close();
  }

  test("signs in with the password of the file and owns the demo organization", async () => {
    await server.start();
    expect(statSync(passwordFile()).mode & 0o777).toBe(0o600);
    const { status, token } = await signIn();
    expect(status).toBe(200);
    expect(await organizationNames(token)).toEqual(["Demo"]);
    // Only an owner holds all scopes.
    expect((await call("/v1/api-keys", ALL_SCOPES, token)).status).toBe(201);
    const event = await call("/v1/events", { user_id: "ada", name: "product.viewed" }, token);
    expect(event.status).toBe(201);
  });

  test("is added once to an older folder, and later starts change nothing", async () => {
    await server.start();
    const first = password();
    await server.end("SIGTERM");
    // A folder of the time before users.
    await change(async (trx) => {
      await trx("memberships").delete();
      await trx("users").delete();
    });
    rmSync(passwordFile());
    await server.start();
    const second = password();
    expect(second).not.toBe(first);
    expect((await signIn()).status).toBe(200);

    await server.end("SIGTERM");
    await change((trx) => trx("memberships").update({ role: Buffer.from("member") }));
    rmSync(passwordFile());
    await server.start();
    expect(() => password()).toThrow("ENOENT");
    const login = await call("/v1/login", { email: EMAIL, password: second });
    expect((await call("/v1/api-keys", ALL_SCOPES, String(login.body.access_token))).status).toBe(403);
  });

  test("uses the password that a start wrote before it died", async () => {
    await server.start();
    const first = password();
    await server.end("SIGTERM");
    await change(async (trx) => {
      await trx("memberships").delete();
      await trx("users").delete();
    });
    await server.start();
    expect(password()).toBe(first);
    expect((await signIn()).status).toBe(200);
  });

  test("with another address by now, stays the only owner", async () => {
    await server.start();
    await server.end("SIGTERM");
    const address = Buffer.from("ada@moved.example");
    await change((trx) => trx("users").update({ email: address, email_key: address }));
    await server.start();
    expect((await signIn("ada@moved.example")).status).toBe(200);
    expect((await signIn()).status).toBe(401);
  });

  test("ends with the organization, and neither comes back", async () => {
    await server.start();
    const { token } = await signIn();
    const demo = "/v1/organizations/01900000-0000-7000-8000-00000000de30";
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${url}${demo}`, { method: "DELETE", headers })).status).toBe(202);
    await server.end("SIGTERM");
    await change((trx) => trx("organizations").update({ delete_time_ms: 1 }));
    await server.start();
    await waitFor(async () => (await fetch(`${url}${demo}`, { headers })).status === 401);
    await server.end("SIGTERM");
    await server.start();
    expect(() => password()).toThrow("ENOENT");
    expect((await fetch(`${url}${demo}`, { headers })).status).toBe(401);
    expect((await fetch(`${url}/version`)).status).toBe(200);
  });

  test("an operator makes an existing user the owner of another organization", async () => {
    await server.start();
    const made = await runMuster(
      ["create-organization", "--name", "Corner Shop", "--owner-email", EMAIL.toUpperCase()],
      variables,
    );
    expect(made.stdout).toMatch(/^organization_id \S+\napi_key +mk_\S+\nowner_id +\S+\n$/);
    const { token } = await signIn();
    expect(await organizationNames(token)).toEqual(["Corner Shop", "Demo"]);

    const bad = await runMuster(["create-organization", "--name", "X", "--owner-email", "ada"], variables);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain("owner_email: must be an email address");
  });
});
