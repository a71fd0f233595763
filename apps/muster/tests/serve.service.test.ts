// Tests `muster serve` and its companions as real processes, in both modes, including the messages of failed
// starts.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, dropDatabase, openMysql, openSqlite } from "@muster/db";
import { freePort, testMysqlUrl } from "@muster/testkit";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { MusterProcess, runMuster } from "../../../tests/harness/process.ts";

const folder = mkdtempSync(join(tmpdir(), "muster-serve-"));
const running: MusterProcess[] = [];

interface Server {
  readonly url: string;
  readonly variables: Readonly<Record<string, string>>;
  readonly process: MusterProcess;
}

/** Not started yet; ends with the test. */
async function server(args: string[], given: Readonly<Record<string, string>>): Promise<Server> {
  const httpPort = await freePort();
  const variables = {
    MUSTER_HTTP_HOST: "127.0.0.1",
    MUSTER_GRPC_HOST: "127.0.0.1",
    MUSTER_HTTP_PORT: String(httpPort),
    MUSTER_GRPC_PORT: String(await freePort()),
    ...given,
  };
  const url = `http://127.0.0.1:${httpPort}`;
  const logPath = join(folder, `${httpPort}.log`);
  const process = new MusterProcess({ args: ["serve", ...args], variables, healthUrl: url, logPath });
  running.push(process);
  return { url, variables, process };
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((process) => process.end("SIGKILL")));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function post(url: string, key: string): Promise<Response> {
  return fetch(`${url}/v1/events`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ user_id: "ada", name: "product.viewed" }),
  });
}

/** Makes the database look like one of another version. */
async function addMigration(database: Database): Promise<void> {
  const row = { number: 99, name: "0099_of_another_version", applied_ms: 1 };
  await database.transaction(async (trx) => void (await trx("schema_migrations").insert(row)));
  await database.close();
}

describe("embedded", { timeout: 60_000 }, () => {
  let dataDir: string;

  beforeEach(() => {
    dataDir = mkdtempSync(join(folder, "data-"));
  });

  test("one server a folder; a kill leaves no stale lock; the key and the secret stay", async () => {
    const first = await server([], { MUSTER_DATA_DIR: dataDir });
    await first.process.start();
    const key = readFileSync(join(dataDir, "demo-api-key"), "utf8").trim();
    const secret = readFileSync(join(dataDir, "secret"), "utf8");
    for (const name of ["demo-api-key", "secret", "events.sqlite"]) {
      expect(statSync(join(dataDir, name)).mode & 0o077, name).toBe(0);
    }
    expect((await post(first.url, key)).status).toBe(201);

    const second = await server([], { MUSTER_DATA_DIR: dataDir });
    const { code, stderr } = await runMuster(["serve"], second.variables);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The data folder .* is in use by another Muster \(process \d+ since /);
    expect(stderr).not.toContain("    at "); // No stack, because this failure is not a defect.

    await first.process.end("SIGKILL");
    await second.process.start();
    expect(readFileSync(join(dataDir, "secret"), "utf8")).toBe(secret);
    expect(readFileSync(join(dataDir, "demo-api-key"), "utf8").trim()).toBe(key);
    expect((await post(second.url, key)).status).toBe(201);
  });

  test("a lost demo key is replaced; an organization can be made beside a running server", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir });
    await one.process.start();
    await one.process.end("SIGTERM");
    rmSync(join(dataDir, "demo-api-key"));
    await one.process.start();
    expect((await post(one.url, readFileSync(join(dataDir, "demo-api-key"), "utf8").trim())).status).toBe(
      201,
    );

    const made = await runMuster(["create-organization", "--name", "Corner Shop"], one.variables);
    expect(made.stderr).toBe("The key is shown this once.\n");
    const [, key] = /^organization_id [0-9a-f-]{36}\napi_key +(mk_\S+)\n$/.exec(made.stdout) ?? [];
    expect((await post(one.url, key ?? "")).status).toBe(201);
  });

  test("the signing key is rotated and withdrawn beside a running server", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir });
    const early = await runMuster(["rotate-signing-key"], one.variables);
    expect(early).toMatchObject({ code: 1, stdout: "" });
    expect(early.stderr).toContain(`No server has run in ${dataDir} yet`);

    await one.process.start();
    const published = async (): Promise<string[]> => {
      const response = await fetch(`${one.url}/.well-known/jwks.json`);
      expect(response.headers.get("cache-control")).toBe("public, max-age=300");
      expect(response.headers.get("content-type")).toContain("application/json");
      const { keys } = (await response.json()) as { keys: { kid: string }[] };
      return keys.map(({ kid }) => kid);
    };
    const [first = "", ...none] = await published();
    expect(none).toEqual([]);

    const rotated = await runMuster(["rotate-signing-key"], one.variables);
    const [, second = ""] = /^signing_key ([0-9a-f-]{36})\n$/.exec(rotated.stdout) ?? [];
    expect(await published()).toEqual([second, first]);
    const withdrawn = await runMuster(["rotate-signing-key", "--withdraw", first], one.variables);
    expect(withdrawn.stdout).toMatch(new RegExp(`^signing_key [0-9a-f-]{36}\nwithdrawn   ${first}\n$`));
    expect(await published()).toHaveLength(2);
    expect(await published()).not.toContain(first);

    const again = await runMuster(["rotate-signing-key", "--withdraw", first], one.variables);
    expect(again).toMatchObject({ code: 1, stdout: "" });
    expect(again.stderr).toContain(`There is no signing key ${first}.`);
    expect((await runMuster(["rotate-signing-key", "--withdraw", "k"], one.variables)).code).toBe(1);
    expect(await published()).toHaveLength(2);
  });

  test("a data folder of another version is rejected by path, at a start and by migrate", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir });
    await one.process.start();
    await one.process.end("SIGTERM");
    await addMigration(await openSqlite({ path: join(dataDir, "events.sqlite") }));
    for (const command of ["serve", "migrate"]) {
      const { code, stderr } = await runMuster([command], one.variables);
      expect(code, command).toBe(1);
      expect(stderr).toContain(`The data folder ${dataDir} was made by another version of Muster`);
      expect(stderr).toContain("its events schema has the migration 0099_of_another_version");
      expect(stderr).toContain("Delete or move the folder");
      expect(stderr).not.toContain("    at ");
    }
  });

  test("a data folder of a commit in between, with the same names of migrations, is rejected", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir });
    expect((await runMuster(["migrate"], one.variables)).code).toBe(0);
    const database = await openSqlite({ path: join(dataDir, "events.sqlite") });
    await database.transaction(async (trx) => void (await trx.schema.dropTable("erased_events")));
    await database.close();
    for (const command of ["serve", "migrate"]) {
      const { code, stderr } = await runMuster([command], one.variables);
      expect(code, command).toBe(1);
      expect(stderr).toContain("its events schema lacks the table erased_events");
      expect(stderr).toContain("Delete or move the folder");
    }
  });

  test("a port that is taken is named, with the variable that takes another", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir });
    await one.process.start();
    const other = await server([], { MUSTER_DATA_DIR: mkdtempSync(join(folder, "data-")) });
    for (const name of ["MUSTER_HTTP_PORT", "MUSTER_GRPC_PORT"] as const) {
      const variables = { ...other.variables, [name]: one.variables[name] ?? "" };
      const { code, stderr } = await runMuster(["serve"], variables);
      expect(code).toBe(1);
      expect(stderr).toMatch(new RegExp(`port cannot be opened .*${name} takes another one`));
    }
  });

  test("a stop signal lets it finish requests in flight and end with 0", async () => {
    const one = await server([], { MUSTER_DATA_DIR: dataDir, MUSTER_DRAIN_DELAY_MS: "2500" });
    await one.process.start();
    const key = readFileSync(join(dataDir, "demo-api-key"), "utf8").trim();
    const ended = one.process.end("SIGTERM");
    // Still accepting, but no longer ready, so that load balancers choose other processes.
    await expect.poll(async () => (await fetch(`${one.url}/readyz`)).status).toBe(503);
    expect((await post(one.url, key)).status).toBe(201);
    await ended;
    expect(one.process.exitCode).toBe(0);
  });
});

describe("production", { timeout: 90_000 }, () => {
  const prefix = `t${randomBytes(4).toString("hex")}_`;
  let shared: Record<string, string>;

  beforeEach(async () => {
    shared = {
      MUSTER_MODE: "production",
      MUSTER_DATABASE_URL: await testMysqlUrl(),
      MUSTER_DATABASE_PREFIX: prefix,
      // An address without a listener: a start does not wait for the broker.
      MUSTER_NATS_URL: `nats://127.0.0.1:${await freePort()}`,
      MUSTER_SECRET: randomBytes(32).toString("hex"),
      MUSTER_IDENTITY_SECRET: randomBytes(32).toString("hex"),
      MUSTER_PUBLIC_URL: "http://127.0.0.1:9",
      // An address without a listener, as above.
      MUSTER_SMTP_URL: "smtp://127.0.0.1:9",
      MUSTER_MAIL_FROM: "muster@example.test",
      MUSTER_METRICS_PORT: String(await freePort()),
      MUSTER_LOG_LEVEL: "warn",
    };
  });

  afterAll(async () => {
    for (const service of ["identity", "events", "segments"]) {
      await dropDatabase(await testMysqlUrl(), `${prefix}${service}`);
    }
  });

  test("without its database, or with an old schema, it names the command to run; then it starts", async () => {
    const one = await server(["--target=all"], shared);
    const refused = await runMuster(["serve"], one.variables);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("The database of identity does not exist. Run `muster migrate` first.");

    await runMuster(["migrate", "--service", "identity"], one.variables);
    const halfDone = await runMuster(["serve"], one.variables);
    expect(halfDone.stderr).toContain("The database of events does not exist. Run `muster migrate` first.");

    const both = await Promise.all([
      runMuster(["migrate"], one.variables),
      runMuster(["migrate"], one.variables),
    ]);
    for (const { code, stdout } of both) {
      expect(code).toBe(0);
      expect(stdout).toMatch(/^identity: up to date\nevents: .*\nsegments: .*\n$/);
    }
    const again = await runMuster(["migrate"], one.variables);
    expect(again.stdout).toBe("identity: up to date\nevents: up to date\nsegments: up to date\n");

    await one.process.start(); // Ready, although the broker is unreachable.
    const made = await runMuster(["create-organization", "--name", "Shop"], one.variables);
    const key = /mk_\S+/.exec(made.stdout)?.[0] ?? "";
    expect((await post(one.url, key)).status).toBe(201);

    // The metrics have a port of their own, which serves nothing else.
    const metricsUrl = `http://127.0.0.1:${one.variables.MUSTER_METRICS_PORT}`;
    expect(await (await fetch(`${metricsUrl}/metrics`)).text()).toContain("muster_http_request_duration");
    expect((await fetch(`${metricsUrl}/readyz`)).status).toBe(404);
    expect((await fetch(`${one.url}/metrics`)).status).toBe(404);
  });

  test("a database of another version is rejected by name, at a start and by migrate", async () => {
    const other = `${prefix}other_`;
    const one = await server(["--target=identity"], { ...shared, MUSTER_DATABASE_PREFIX: other });
    await runMuster(["migrate", "--service", "identity"], one.variables);
    const url = await testMysqlUrl();
    await addMigration(await openMysql({ url, database: `${other}identity` }));
    for (const command of [
      ["serve", "--target=identity"],
      ["migrate", "--service", "identity"],
    ]) {
      const { code, stderr } = await runMuster(command, one.variables);
      expect(code, command.join(" ")).toBe(1);
      expect(stderr).toContain(`The database ${other}identity was made by another version of Muster`);
      expect(stderr).toContain("Drop or rename the database");
      expect(stderr).not.toContain("    at ");
    }
    await dropDatabase(url, `${other}identity`);
  });

  test("wrong credentials of the database are not waited for", async () => {
    const url = new URL(await testMysqlUrl());
    url.username = "nobody";
    url.password = "hunter2";
    const one = await server(["--target=all"], { ...shared, MUSTER_DATABASE_URL: url.toString() });
    const { code, stderr } = await runMuster(["serve"], one.variables);
    expect(code).toBe(1);
    expect(stderr).toContain("The database server refuses the user of identity");
    expect(stderr).not.toContain("hunter2");
  });

  test("a database that is away is waited for: alive, not ready", async () => {
    const url = `mysql://root@127.0.0.1:${await freePort()}`;
    const one = await server(["--target=identity"], { ...shared, MUSTER_DATABASE_URL: url });
    one.process.spawn();
    const status = (path: string): Promise<number> =>
      fetch(one.url + path).then(
        (response) => response.status,
        () => 0,
      );
    await expect.poll(() => status("/livez"), { timeout: 15_000 }).toBe(200);
    expect(await status("/readyz")).toBe(503);
    await one.process.end("SIGTERM");
    expect(one.process.exitCode).toBe(0);
  });
});

describe("the command line", () => {
  test("a mistyped variable stops the start and is named, with what was meant", async () => {
    const { code, stderr } = await runMuster(["serve"], { MUSTER_HTTP_PROT: "3001" });
    expect(code).toBe(1);
    expect(stderr).toContain("MUSTER_HTTP_PROT is no variable of Muster: did you mean MUSTER_HTTP_PORT?");
  });

  test("--print-config hides secrets, at the root and for serve", async () => {
    const variables = { MUSTER_SECRET: randomBytes(32).toString("hex") };
    for (const args of [["--print-config"], ["serve", "--print-config"]]) {
      const { code, stdout } = await runMuster(args, variables);
      expect(code).toBe(0);
      expect(stdout).toContain("MUSTER_SECRET=[redacted]");
      expect(stdout).not.toContain(variables.MUSTER_SECRET);
    }
  });

  test("--help has examples, for every command", async () => {
    const commands = ["serve", "migrate", "create-organization", "rotate-signing-key", "import", "demo-data"];
    for (const args of [[], ...commands.map((command) => [command])]) {
      const { code, stdout } = await runMuster([...args, "--help"], {});
      expect(code).toBe(0);
      expect(stdout).toMatch(/Examples?:\n {2}/);
    }
  });

  test("an unknown command is an error", async () => {
    const { code, stderr } = await runMuster(["surve"], {});
    expect(code).toBe(1);
    expect(stderr).toContain("unknown command 'surve'");
  });

  test("a history starts on the given day, and on no day that does not exist", {
    timeout: 60_000,
  }, async () => {
    const history = (start: string) => runMuster(["demo-data", "--events", "10", "--start", start], {});
    const { code, stdout } = await history("2024-02-29");
    expect([code, stdout.split("\n")[1]?.slice(0, 11)]).toEqual([0, "2024-02-29T"]);
    const refused = await history("2023-02-29");
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("Give a day as YYYY-MM-DD.");
  });

  test("output to a pipe that closes is no crash", async () => {
    const main = join(import.meta.dirname, "../src/main.ts");
    const child = spawn("sh", ["-c", `"${process.execPath}" "${main}" demo-data --events 50000 | head -n 1`]);
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString("utf8");
    });
    await new Promise((resolve) => child.once("close", resolve));
    expect(stderr.replaceAll(/^\(.*\n/gm, "")).not.toContain("EPIPE");
  });
});
