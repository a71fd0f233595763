// Starts a whole Muster in either mode: real processes, private data, free ports.
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testMysqlUrl, testNatsUrl } from "@muster/testkit";
import { freePort, MusterProcess, runMuster } from "./process.ts";

export type Mode = "embedded" | "production";
export type Target = "identity" | "events" | "segments" | "gateway";
const TARGETS: readonly Target[] = ["identity", "events", "segments", "gateway"];

export interface Installation {
  readonly mode: Mode;
  /** REST, Connect and gRPC-Web. */
  readonly url: string;
  /** host:port of the gRPC port that serves the events service. */
  readonly eventsAddress: string;
  /** host:port of the gRPC port that serves the segments service. */
  readonly segmentsAddress: string;
  /** Address of the probes and metrics of the process that runs segments. */
  readonly segmentsHealthUrl: string;
  readonly apiKey: string;
  /** Holds the logs of the processes; in embedded mode also the data. */
  readonly folder: string;
  /** A single process in embedded mode; a process per target in production. */
  readonly processes: ReadonlyMap<string, MusterProcess>;
  /** The environment for CLI commands on this installation. */
  readonly variables: Readonly<Record<string, string>>;
  /** Stops all processes and removes the data. */
  stop(): Promise<void>;
}

export async function startInstallation(
  mode: Mode,
  extra: Readonly<Record<string, string>> = {},
): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), `muster-${mode}-`));
  return mode === "embedded" ? startEmbedded(folder, extra) : startProduction(folder, extra);
}

async function startEmbedded(folder: string, extra: Readonly<Record<string, string>>): Promise<Installation> {
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const variables = {
    MUSTER_DATA_DIR: join(folder, "data"),
    MUSTER_HTTP_PORT: String(httpPort),
    MUSTER_GRPC_PORT: String(grpcPort),
    MUSTER_LOG_LEVEL: "warn",
    ...extra,
  };
  const url = `http://127.0.0.1:${httpPort}`;
  const all = new MusterProcess({
    args: ["serve"],
    variables,
    healthUrl: url,
    logPath: join(folder, "all.log"),
  });
  await all.start();
  return {
    mode: "embedded",
    url,
    eventsAddress: `127.0.0.1:${grpcPort}`,
    segmentsAddress: `127.0.0.1:${grpcPort}`,
    segmentsHealthUrl: url,
    apiKey: (await readFile(join(folder, "data", "demo-api-key"), "utf8")).trim(),
    folder,
    processes: new Map([["all", all]]),
    variables,
    stop: async () => {
      await all.end("SIGTERM");
      await rm(folder, { recursive: true });
    },
  };
}

async function startProduction(
  folder: string,
  extra: Readonly<Record<string, string>>,
): Promise<Installation> {
  const name = `m${randomBytes(4).toString("hex")}`;
  const ports = new Map<Target, { http: number; grpc: number }>();
  for (const target of TARGETS) ports.set(target, { http: await freePort(), grpc: await freePort() });
  const port = (target: Target) => ports.get(target) ?? { http: 0, grpc: 0 };
  const shared = {
    MUSTER_MODE: "production",
    MUSTER_DATABASE_URL: await testMysqlUrl(),
    MUSTER_DATABASE_PREFIX: `${name}_`,
    MUSTER_NATS_URL: await testNatsUrl(),
    MUSTER_NATS_PREFIX: name,
    MUSTER_SECRET: randomBytes(32).toString("base64"),
    MUSTER_HTTP_HOST: "127.0.0.1",
    MUSTER_GRPC_HOST: "127.0.0.1",
    MUSTER_IDENTITY_ADDRESS: `127.0.0.1:${port("identity").grpc}`,
    MUSTER_EVENTS_ADDRESS: `127.0.0.1:${port("events").grpc}`,
    MUSTER_SEGMENTS_ADDRESS: `127.0.0.1:${port("segments").grpc}`,
    MUSTER_LOG_LEVEL: "warn",
    ...extra,
  };
  await succeed(["migrate"], shared);
  const created = await succeed(["create-organization", "--name", "Test"], shared);
  const processes = new Map<string, MusterProcess>();
  for (const target of TARGETS) {
    const { http, grpc } = port(target);
    const variables = { ...shared, MUSTER_HTTP_PORT: String(http), MUSTER_GRPC_PORT: String(grpc) };
    processes.set(
      target,
      new MusterProcess({
        args: ["serve", "--mode=production", `--target=${target}`],
        variables,
        healthUrl: `http://127.0.0.1:${http}`,
        logPath: join(folder, `${target}.log`),
      }),
    );
  }
  await Promise.all([...processes.values()].map((process) => process.start()));
  return {
    mode: "production",
    url: `http://127.0.0.1:${port("gateway").http}`,
    eventsAddress: shared.MUSTER_EVENTS_ADDRESS,
    segmentsAddress: shared.MUSTER_SEGMENTS_ADDRESS,
    segmentsHealthUrl: `http://127.0.0.1:${port("segments").http}`,
    apiKey: /\bmk_[\w-]+/.exec(created)?.[0] ?? "",
    folder,
    processes,
    variables: shared,
    stop: async () => {
      await Promise.all([...processes.values()].map((process) => process.end("SIGTERM")));
      await rm(folder, { recursive: true });
    },
  };
}

async function succeed(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const { code, stdout, stderr } = await runMuster(args, variables);
  if (code !== 0) throw new Error(`muster ${args.join(" ")} failed: ${stderr}${stdout}`);
  return stdout;
}
