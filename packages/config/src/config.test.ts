// Tests which configurations are accepted, and the messages for the rest.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type Config,
  ConfigError,
  databaseOf,
  type Environment,
  envExample,
  loadConfig,
  printConfig,
} from "./index.ts";

const PASSWORD = "hunter2";
const MAIL_PASSWORD = "hunter3";
const SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const production: Environment = {
  MUSTER_MODE: "production",
  MUSTER_DATABASE_URL: `mysql://muster:${PASSWORD}@db:3306`,
  MUSTER_NATS_URL: "nats://one:4222,nats://two:4222",
  MUSTER_SECRET: SECRET,
  MUSTER_IDENTITY_SECRET: SECRET,
  MUSTER_PUBLIC_URL: "https://muster.example.com",
  MUSTER_SMTP_URL: `smtps://muster:${MAIL_PASSWORD}@mail.example.com`,
  MUSTER_MAIL_FROM: "Muster <no-reply@example.com>",
};

function serve(environment: Environment): Config {
  return loadConfig({ command: "serve", environment });
}

function problems(environment: Environment, command: "serve" | "administer" = "serve"): readonly string[] {
  try {
    loadConfig({ command, environment });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("defaults", () => {
  test("nothing set: embedded, everything in one process, on loopback", () => {
    expect(serve({})).toMatchObject({
      mode: "embedded",
      targets: ["identity", "events", "segments", "gateway"],
      dataDir: "./data",
      httpHost: "127.0.0.1",
      httpPort: 3000,
      grpcHost: "127.0.0.1",
      grpcPort: 50051,
      backlogItemsMax: 250_000,
      secret: undefined,
    });
  });

  test("production listens on every address", () => {
    expect(serve(production)).toMatchObject({ httpHost: "0.0.0.0", grpcHost: "0.0.0.0" });
    expect(serve(production).natsUrls).toEqual(["nats://one:4222", "nats://two:4222"]);
  });

  test("the object is frozen, and an empty variable counts as absent", () => {
    const config = serve({ MUSTER_HTTP_PORT: "" });
    expect(config.httpPort).toBe(3000);
    expect(Object.isFrozen(config)).toBe(true);
  });

  test("flags win over the environment", () => {
    const flags = { mode: "embedded", target: undefined };
    expect(loadConfig({ command: "serve", flags, environment: production }).mode).toBe("embedded");
  });
});

describe("refusals name the variable and what is expected", () => {
  test.each([
    [
      { MUSTER_HTTP_PORT: "80a" },
      'MUSTER_HTTP_PORT is wrong: expected a whole number from 0 to 65535 (it is "80a")',
    ],
    [{ MUSTER_HTTP_PORT: "65536" }, "MUSTER_HTTP_PORT is wrong"],
    [{ MUSTER_GRPC_PORT: "-1" }, "MUSTER_GRPC_PORT is wrong"],
    [{ MUSTER_MODE: "prod" }, "MUSTER_MODE is wrong: expected one of embedded, production"],
    [{ MUSTER_TARGET: "all,gateway" }, "MUSTER_TARGET is wrong: expected all, or a comma list of identity"],
    [{ MUSTER_TARGET: "gateway" }, "MUSTER_TARGET must be all in embedded mode"],
    [
      { MUSTER_HTTP_PROT: "3001" },
      "MUSTER_HTTP_PROT is no variable of Muster: did you mean MUSTER_HTTP_PORT?",
    ],
    [{ MUSTER_NOTHING_LIKE_IT: "1" }, /^MUSTER_NOTHING_LIKE_IT is no variable of Muster$/],
    [{ MUSTER_SECRET: "c2hvcnQ=" }, /^MUSTER_SECRET is wrong: expected at least 32 random bytes[^"]*$/],
    [{ MUSTER_CORS_ORIGINS: "*" }, "MUSTER_CORS_ORIGINS is wrong"],
    [{ ...production, MUSTER_DATABASE_URL: "postgres://db" }, /^MUSTER_DATABASE_URL is wrong: [^"]*$/],
    [
      { ...production, MUSTER_DATABASE_URL: "mysql://db/one" },
      "MUSTER_DATABASE_URL must not name a database",
    ],
    [{ ...production, MUSTER_NATS_URL: "one:4222" }, "MUSTER_NATS_URL is wrong"],
    [{ ...production, MUSTER_SECRET: "" }, "MUSTER_SECRET is missing"],
    [{ ...production, MUSTER_IDENTITY_SECRET: "" }, "MUSTER_IDENTITY_SECRET is missing"],
    [{ ...production, MUSTER_NATS_URL: undefined }, "MUSTER_NATS_URL is missing"],
    [{ ...production, MUSTER_DATABASE_URL: "" }, "MUSTER_DATABASE_URL is missing"],
    [{ ...production, MUSTER_TARGET: "gateway" }, "MUSTER_IDENTITY_ADDRESS is missing: expected host:port"],
    [{ ...production, MUSTER_TARGET: "segments" }, "MUSTER_IDENTITY_ADDRESS is missing"],
    ...[
      "events",
      "events:0",
      "events:65536",
      "http://events:50051",
      "dns:///events",
      "ipv4:events:50051",
      "ipv4:10.0.0.1:50051,",
      "ipv4:[::1]:50051",
      "ipv6:10.0.0.1:50051",
      "10.0.0.1:50051,10.0.0.2:50051",
      "unix:/run/events.sock",
    ].map((value) => [{ ...production, MUSTER_EVENTS_ADDRESS: value }, "MUSTER_EVENTS_ADDRESS is wrong"]),
  ] as [Environment, string | RegExp][])("%j", (environment, expected) => {
    expect(problems(environment)[0]).toEqual(
      typeof expected === "string" ? expect.stringContaining(expected) : expect.stringMatching(expected),
    );
  });

  test("all problems come at once", () => {
    expect(problems({ MUSTER_HTTP_PORT: "a", MUSTER_GRPC_PORT: "b" })).toHaveLength(2);
  });
});

test.each([
  "events:50051",
  "10.0.0.1:50051",
  "[::1]:50051",
  "dns:50051",
  "dns:events:50051",
  "dns:///events.muster.svc:50051",
  "dns://10.0.0.53:53/events:50051",
  "ipv4:10.0.0.1:50051",
  "ipv4:10.0.0.1:50051,10.0.0.2:50052",
  "ipv6:[::1]:50051,[fe80::1]:50051",
])("%s is an address of a service", (value) => {
  expect(problems({ ...production, MUSTER_EVENTS_ADDRESS: value })).toEqual([]);
});

describe("what is needed depends on what runs", () => {
  const address = { MUSTER_IDENTITY_ADDRESS: "identity:50051" };

  test("identity calls no service; events and segments call identity and each other; the gateway needs no database and no bus", () => {
    expect(problems({ ...production, MUSTER_TARGET: "identity" })).toEqual([]);
    expect(problems({ ...production, ...address, MUSTER_TARGET: "events" })).toEqual([
      expect.stringContaining("MUSTER_SEGMENTS_ADDRESS is missing"),
    ]);
    expect(problems({ ...production, ...address, MUSTER_TARGET: "events,segments" })).toEqual([]);
    expect(problems({ ...production, ...address, MUSTER_TARGET: "segments" })).toEqual([
      expect.stringContaining("MUSTER_EVENTS_ADDRESS is missing"),
    ]);
    const gateway = {
      MUSTER_MODE: "production",
      MUSTER_TARGET: "gateway",
      MUSTER_SECRET: SECRET,
      ...address,
      MUSTER_EVENTS_ADDRESS: "events:50051",
      MUSTER_SEGMENTS_ADDRESS: "segments:50051",
    };
    expect(problems(gateway)).toEqual([]);
  });

  test("only a process that sends mails needs a mail server, in production mode", () => {
    const { MUSTER_PUBLIC_URL, MUSTER_SMTP_URL, MUSTER_MAIL_FROM, ...withoutMail } = production;
    expect(problems(withoutMail)).toEqual([
      expect.stringContaining("MUSTER_PUBLIC_URL is missing"),
      expect.stringContaining("MUSTER_SMTP_URL is missing"),
      expect.stringContaining("MUSTER_MAIL_FROM is missing"),
    ]);
    const events = { ...withoutMail, ...address, MUSTER_SEGMENTS_ADDRESS: "segments:50051" };
    expect(problems({ ...events, MUSTER_TARGET: "events" })).toEqual([]);
    expect(problems({})).toEqual([]);
  });

  test.each([
    ["MUSTER_MAIL_FROM", "Muster"],
    ["MUSTER_MAIL_FROM", "Muster <a@b.test>, c@d.test"],
    ["MUSTER_MAIL_FROM", "Muster\r\nBcc: <a@b.test>"],
    ["MUSTER_SMTP_URL", "http://mail.example.com"],
    ["MUSTER_PUBLIC_URL", "muster.example.com"],
    ["MUSTER_PUBLIC_URL", "https://muster.example.com/?page=1"],
    ["MUSTER_PUBLIC_URL", "https://muster.example.com/#m"],
    ["MUSTER_PUBLIC_URL", "https://user@muster.example.com"],
    ["MUSTER_PUBLIC_URL", "javascript://muster.example.com"],
  ])("%s is not %j", (name, value) => {
    expect(problems({ ...production, [name]: value })).toEqual([
      expect.stringContaining(`${name} is wrong: expected`),
    ]);
  });

  test.each(["https://example.com/muster/", "http://127.0.0.1:3000", "http://[::1]:3000"])(
    "%s is a public address",
    (url) => {
      expect(problems({ ...production, MUSTER_PUBLIC_URL: url })).toEqual([]);
    },
  );

  test("administering needs the databases alone", () => {
    const { MUSTER_MODE, MUSTER_DATABASE_URL } = production;
    expect(problems({ MUSTER_MODE, MUSTER_DATABASE_URL }, "administer")).toEqual([]);
  });

  test("a service may have a database server of its own", () => {
    const config = serve({ ...production, MUSTER_EVENTS_DATABASE_URL: "mysql://other:3307/tracking" });
    expect(databaseOf(config, "events")).toEqual({ url: "mysql://other:3307", name: "tracking" });
    expect(databaseOf(config, "identity")).toEqual({
      url: `mysql://muster:${PASSWORD}@db:3306`,
      name: "muster_identity",
    });
  });
});

describe("what people read", () => {
  test("--print-config hides secrets and marks defaults", () => {
    const printed = printConfig({}, production);
    const shown = production.MUSTER_DATABASE_URL?.replace(PASSWORD, "redacted");
    expect(printed).toContain(`MUSTER_DATABASE_URL=${shown}`);
    expect(printed).toContain("MUSTER_SECRET=[redacted]");
    expect(printed).toContain("MUSTER_HTTP_PORT=3000 # default");
    expect(printed).not.toContain(PASSWORD);
    expect(printed).not.toContain(MAIL_PASSWORD);
    expect(printed).not.toContain(SECRET);
    expect(printConfig({ mode: "embedded" }, { MUSTER_SECRET: "too short" })).not.toContain("too short");
  });

  test(".env.example is what `make gen` writes", () => {
    const committed = readFileSync(new URL("../../../.env.example", import.meta.url), "utf8");
    expect(committed).toBe(envExample());
  });
});

describe("MUSTER_ENV_FILE", () => {
  const folder = mkdtempSync(join(tmpdir(), "muster-config-"));
  const path = join(folder, "muster.env");
  writeFileSync(path, "# written by make up\nMUSTER_URL=http://127.0.0.1:3100\nMUSTER_API_KEY=mk_file\n");
  const file = { MUSTER_ENV_FILE: path };

  test("gives commands what the environment does not set", () => {
    const { url, apiKey } = loadConfig({
      command: "client",
      environment: { ...file, MUSTER_API_KEY: "mk_set", MUSTER_URL: "" },
    });
    expect([url, apiKey]).toEqual(["http://127.0.0.1:3100", "mk_set"]);
  });

  test("does not reach a server", () => {
    expect(serve(file).url).toBe("http://127.0.0.1:3000");
  });

  test("is named when it cannot be read", () => {
    expect(() => loadConfig({ command: "client", environment: { MUSTER_ENV_FILE: "/nowhere" } })).toThrow(
      "MUSTER_ENV_FILE is wrong: ENOENT",
    );
  });

  test("holds unknown variables no more than the environment does", () => {
    writeFileSync(join(folder, "bad.env"), "MUSTER_ULR=http://127.0.0.1:3100\n");
    expect(() =>
      loadConfig({ command: "client", environment: { MUSTER_ENV_FILE: join(folder, "bad.env") } }),
    ).toThrow("MUSTER_ULR is no variable of Muster: did you mean MUSTER_URL?");
  });
});

test("a client command needs no database, in either mode", () => {
  expect(loadConfig({ command: "client", environment: { MUSTER_MODE: "production" } }).mode).toBe(
    "production",
  );
});
