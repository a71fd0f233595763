// Starts a whole Muster in either mode: real processes, private data, free ports.
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, testMysqlUrl, testNatsUrl } from "@muster/testkit";
import { MusterProcess, runMuster } from "./process.ts";

export type Mode = "embedded" | "production";
export type Target = "identity" | "events" | "segments" | "gateway";
const TARGETS: readonly Target[] = ["identity", "events", "segments", "gateway"];

export interface Installation {
  readonly mode: Mode;
  /** REST, Connect and gRPC-Web. */
  readonly url: string;
  /** Of every gateway. In an installation with replicas, each set of processes has a gateway of its own. */
  readonly urls: readonly string[];
  /** host:port of the gRPC port that serves the events service. */
  readonly eventsAddress: string;
  /** host:port of the gRPC port that serves the segments service. */
  readonly segmentsAddress: string;
  /** Address of the probes and metrics of the process that runs segments. */
  readonly segmentsMetricsUrl: string;
  readonly apiKey: string;
  /** Holds the logs of the processes; in embedded mode also the data. */
  readonly folder: string;
  /**
   * A single process in embedded mode; a process per target in production. The second set of replicas has names
   * such as "events-2".
   */
  readonly processes: ReadonlyMap<string, MusterProcess>;
  /** The environment for CLI commands on this installation. */
  readonly variables: Readonly<Record<string, string>>;
  /** Stops all processes and removes the data. */
  stop(): Promise<void>;
}

/** All tests are one client. A test of the limits sets them itself. */
const HIGH_LIMITS = {
  MUSTER_PUBLIC_REQUESTS_PER_MINUTE: "100000",
  MUSTER_CREDENTIAL_REQUESTS_PER_MINUTE: "100000",
};

export async function startInstallation(
  mode: Mode,
  extra: Readonly<Record<string, string>> = {},
  /** Sets of processes on the same databases, in production mode. */
  { replicas = 1 }: { readonly replicas?: number } = {},
): Promise<Installation> {
  const folder = await mkdtemp(join(tmpdir(), `muster-${mode}-`));
  return mode === "embedded" ? startEmbedded(folder, extra) : startProduction(folder, extra, replicas);
}

async function startEmbedded(folder: string, extra: Readonly<Record<string, string>>): Promise<Installation> {
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const variables = {
    MUSTER_DATA_DIR: join(folder, "data"),
    MUSTER_HTTP_PORT: String(httpPort),
    MUSTER_GRPC_PORT: String(grpcPort),
    MUSTER_LOG_LEVEL: "warn",
    ...HIGH_LIMITS,
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
    urls: [url],
    eventsAddress: `127.0.0.1:${grpcPort}`,
    segmentsAddress: `127.0.0.1:${grpcPort}`,
    segmentsMetricsUrl: `${url}/metrics`,
    apiKey: (await readFile(join(variables.MUSTER_DATA_DIR, "demo-api-key"), "utf8")).trim(),
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
  replicas: number,
): Promise<Installation> {
  const name = `m${randomBytes(4).toString("hex")}`;
  const common = {
    MUSTER_MODE: "production",
    MUSTER_DATABASE_URL: await testMysqlUrl(),
    MUSTER_DATABASE_PREFIX: `${name}_`,
    MUSTER_NATS_URL: await testNatsUrl(),
    MUSTER_NATS_PREFIX: name,
    MUSTER_SECRET: randomBytes(32).toString("base64"),
    MUSTER_IDENTITY_SECRET: randomBytes(32).toString("base64"),
    MUSTER_HTTP_HOST: "127.0.0.1",
    MUSTER_GRPC_HOST: "127.0.0.1",
    MUSTER_LOG_LEVEL: "warn",
    ...HIGH_LIMITS,
    MUSTER_PUBLIC_URL: "https://muster.test",
    // No server has this port. Tests of mails give their own.
    MUSTER_SMTP_URL: "smtp://127.0.0.1:9",
    MUSTER_MAIL_FROM: "Muster <no-reply@muster.test>",
  };
  const sets: ReplicaSet[] = [];
  for (let index = 1; index <= replicas; index += 1) {
    const suffix = index === 1 ? "" : `-${index}`;
    sets.push(await replicaSet({ folder, suffix, common, extra, first: sets[0]?.variables }));
  }
  const [first] = sets;
  if (first === undefined) throw new Error("an installation has at least one set of processes");
  await succeed(["migrate"], first.variables);
  const created = await succeed(["create-organization", "--name", "Test"], first.variables);
  const processes = new Map(sets.flatMap((set) => [...set.processes]));
  const stopAll = () => Promise.all([...processes.values()].map((process) => process.end("SIGTERM")));
  try {
    await Promise.all([...processes.values()].map((process) => process.start()));
  } catch (error) {
    await stopAll();
    throw error;
  }
  return {
    mode: "production",
    url: first.urls.gateway,
    urls: sets.map(({ urls }) => urls.gateway),
    eventsAddress: first.variables.MUSTER_EVENTS_ADDRESS ?? "",
    segmentsAddress: first.variables.MUSTER_SEGMENTS_ADDRESS ?? "",
    segmentsMetricsUrl: first.segmentsMetricsUrl,
    apiKey: /\bmk_[\w-]+/.exec(created)?.[0] ?? "",
    folder,
    processes,
    variables: first.variables,
    stop: async () => {
      await stopAll();
      await rm(folder, { recursive: true });
    },
  };
}

/**
 * A process of each target. A further set shares databases, broker and identity with the first, and its services
 * call the services of the first: nothing but its own gateway depends on a process of a further set.
 */
interface Ports {
  readonly http: number;
  readonly grpc: number;
  readonly metrics: number;
}

interface ReplicaSet {
  readonly variables: Readonly<Record<string, string>>;
  readonly urls: Readonly<Record<Target, string>>;
  readonly segmentsMetricsUrl: string;
  readonly processes: readonly (readonly [string, MusterProcess])[];
}

async function replicaSet({
  folder,
  suffix,
  common,
  extra,
  first,
}: {
  readonly folder: string;
  readonly suffix: string;
  readonly common: Readonly<Record<string, string>>;
  readonly extra: Readonly<Record<string, string>>;
  /** The variables of the first set, for a further one. */
  readonly first: Readonly<Record<string, string>> | undefined;
}): Promise<ReplicaSet> {
  const ports = new Map<Target, Ports>();
  for (const target of TARGETS) {
    ports.set(target, { http: await freePort(), grpc: await freePort(), metrics: await freePort() });
  }
  const port = (target: Target) => ports.get(target) ?? { http: 0, grpc: 0, metrics: 0 };
  const url = (target: Target): string => `http://127.0.0.1:${port(target).http}`;
  const variables = {
    ...common,
    MUSTER_IDENTITY_ADDRESS: first?.MUSTER_IDENTITY_ADDRESS ?? `127.0.0.1:${port("identity").grpc}`,
    MUSTER_EVENTS_ADDRESS: `127.0.0.1:${port("events").grpc}`,
    MUSTER_SEGMENTS_ADDRESS: `127.0.0.1:${port("segments").grpc}`,
    ...extra,
  };
  const targets = TARGETS.filter((target) => target !== "identity" || first === undefined);
  const processes = targets.map((target) => {
    const { http, grpc, metrics } = port(target);
    const process = new MusterProcess({
      args: ["serve", "--mode=production", `--target=${target}`],
      variables: {
        ...(target === "gateway" ? variables : (first ?? variables)),
        MUSTER_HTTP_PORT: String(http),
        MUSTER_GRPC_PORT: String(grpc),
        MUSTER_METRICS_PORT: String(metrics),
      },
      healthUrl: url(target),
      logPath: join(folder, `${target}${suffix}.log`),
    });
    return [`${target}${suffix}`, process] as const;
  });
  const urls = {
    identity: url("identity"),
    events: url("events"),
    segments: url("segments"),
    gateway: url("gateway"),
  };
  const segmentsMetricsUrl = `http://127.0.0.1:${port("segments").metrics}/metrics`;
  return { variables, urls, segmentsMetricsUrl, processes };
}

async function succeed(
  args: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const { code, stdout, stderr } = await runMuster(args, variables);
  if (code !== 0) throw new Error(`muster ${args.join(" ")} failed: ${stderr}${stdout}`);
  return stdout;
}
