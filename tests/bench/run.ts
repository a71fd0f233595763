// Measures Muster on the production adapters beside the limits of the same machine (`make bench`). Results go
// to bench-results/ as JSON and to the terminal as a table.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { EventService, RecordEventRequestSchema } from "@muster/contracts/muster/events/v1/event_service_pb";
import { systemClock } from "@muster/core";
import { grpcCaller } from "@muster/rpc";
import { freePort, startServers } from "@muster/testkit";
import { type Installation, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";
import { measureGrpcStream, measureRestBatches, sendBatch } from "./batches.ts";
import { CpuMeter } from "./cpu-meter.ts";
import { measureDatabaseBaseline } from "./database-baseline.ts";
import { benchEvent } from "./events.ts";
import { latencies, residentMiB, round, runFor } from "./measure.ts";
import { Results, type Row } from "./results.ts";
import { measureSinglePosts } from "./single-posts.ts";
import { measureVisibility } from "./visibility.ts";

/**
 * MUSTER_BENCH_SECONDS sets the length of each part; MUSTER_BENCH_EVENTS sets the size of the memory part.
 */
const SECONDS = Number(process.env.MUSTER_BENCH_SECONDS ?? 10);
const MEMORY_EVENTS = Number(process.env.MUSTER_BENCH_EVENTS ?? 1_000_000);

type Servers = Awaited<ReturnType<typeof startServers>>;
const results = new Results("bench");

function record(row: Row): void {
  results.record(row);
}

async function main(): Promise<void> {
  const servers = await startServers();
  process.env.MUSTER_TEST_MYSQL_URL = servers.mysqlUrl;
  process.env.MUSTER_TEST_NATS_URL = servers.natsUrl;
  const installation = await startInstallation("production");
  try {
    await measure(installation, servers);
    await results.report({ mode: installation.mode, seconds: SECONDS });
  } finally {
    await installation.stop();
    await servers.stop();
  }
}

async function measure(installation: Installation, servers: Servers): Promise<void> {
  const rest = new RestClient(installation);
  const meter = cpuMeter(installation, servers);
  const database = `${installation.variables.MUSTER_DATABASE_PREFIX}events`;
  await rest.post("/v1/segments", {
    name: "Viewers",
    event_name: "product.viewed",
    min_count: 3,
    within_days: 7,
  });
  await measureRestBatches(rest, "warm", 3_000, 4);
  await untilIdle(rest);
  const before = memory(installation);

  const baseline = (await measureDatabaseBaseline(servers.mysqlUrl, database, SECONDS * 1000)).perSecond;
  record({ part: "baseline: bare mysql2 inserts", "events/s": baseline, ratio: 1 });
  const { result: batch, cpu: batchCpu } = await meter.during(
    () => finishThenIdle(rest, measureRestBatches(rest, "batch", SECONDS * 1000, 8)),
    ({ total }) => total,
  );
  record({
    part: "REST batches of 500",
    "events/s": batch.perSecond,
    ratio: round(batch.perSecond / baseline),
    ...batchCpu,
  });
  const { eventsAddress, apiKey } = installation;
  const { result: stream, cpu: streamCpu } = await meter.during(
    () => finishThenIdle(rest, measureGrpcStream(eventsAddress, apiKey, "stream", SECONDS * 1000)),
    ({ total }) => total,
  );
  record({
    part: "gRPC stream",
    "events/s": stream.perSecond,
    ratio: round(stream.perSecond / baseline),
    ...streamCpu,
  });
  await measureSingles(installation, rest, meter, baseline);
  await measureGatewayCost(installation);
  await untilIdle(rest);
  const visible = await measureVisibility(rest, "visible", {
    eventsPerSecond: batch.perSecond / 2,
    probes: 200,
  });
  record({ part: "acknowledged to visible at half load", ...visible });
  await untilIdle(rest);

  const middle = memory(installation);
  await fill(rest, MEMORY_EVENTS);
  await untilIdle(rest);
  const after = memory(installation);
  for (const target of before.keys()) {
    record({
      part: `resident MiB: ${target}`,
      "at start": before.get(target) ?? 0,
      "after the parts above": middle.get(target) ?? 0,
      [`after ${MEMORY_EVENTS} more events`]: after.get(target) ?? 0,
    });
  }
}

/** The processes of Muster, and the servers if the benchmark started them. */
function cpuMeter(installation: Installation, servers: Servers): CpuMeter {
  const processes = new Map([...installation.processes].map(([target, { pid }]) => [target, pid]));
  for (const [name, server] of [
    ["mariadb", servers.mysql],
    ["nats", servers.nats],
  ] as const) {
    if (server?.pid !== undefined) processes.set(name, server.pid);
  }
  return new CpuMeter(processes);
}

async function measureSingles(
  installation: Installation,
  rest: RestClient,
  meter: CpuMeter,
  baseline: number,
): Promise<void> {
  const port = await freePort();
  const echo = spawn(process.execPath, [
    fileURLToPath(new URL("json-echo.ts", import.meta.url)),
    String(port),
  ]);
  await systemClock.sleep(1_000);
  const load = { connections: 64, seconds: SECONDS };
  const bare = await measureSinglePosts(`http://127.0.0.1:${port}/`, "", { ...load, run: "echo" });
  echo.kill();
  record({
    part: "bare JSON echo, 64 connections",
    "requests/s": bare.perSecond,
    p50_ms: bare.p50_ms,
    p99_ms: bare.p99_ms,
  });
  const url = `${installation.url}/v1/events`;
  const { result: singles, cpu } = await meter.during(
    () => finishThenIdle(rest, measureSinglePosts(url, installation.apiKey, { ...load, run: "single" })),
    ({ total }) => total,
  );
  record({
    part: "single POSTs, 64 connections",
    "events/s": singles.perSecond,
    ratio: round(singles.perSecond / baseline),
    "ratio to echo": round(singles.perSecond / bare.perSecond),
    p50_ms: singles.p50_ms,
    p99_ms: singles.p99_ms,
    rejected: singles.rejected,
    ...cpu,
  });
}

/**
 * Sends the same single event through the gateway and directly to the service, alone and with 64 parallel
 * requests.
 */
async function measureGatewayCost(installation: Installation): Promise<void> {
  const caller = grpcCaller({ address: installation.eventsAddress });
  const rest = new RestClient(installation);
  const direct = async (run: string, n: number): Promise<void> => {
    const { user_id, name, properties } = benchEvent(run, n);
    const event = {
      identity: { case: "userId", value: user_id },
      name,
      properties: JSON.stringify(properties),
    } as const;
    await caller.unary(EventService.method.recordEvent, create(RecordEventRequestSchema, { event }), {
      headers: new Map([["authorization", `Bearer ${installation.apiKey}`]]),
      signal: new AbortController().signal,
    });
  };
  const overGateway = async (run: string, n: number): Promise<void> => {
    const { user_id, name, properties } = benchEvent(run, n);
    const response = await rest.post("/v1/events", { user_id, name, properties });
    if (response.status !== 201) throw new Error(response.text);
  };
  for (const [part, send] of [
    ["gRPC to the service", direct],
    ["REST over the gateway", overGateway],
  ] as const) {
    const samples: number[] = [];
    const alone = await runFor((SECONDS * 1000) / 2, 1, async (call) => {
      const startMs = systemClock.monotonicMs();
      await send(`alone-${part}`, call);
      samples.push(systemClock.monotonicMs() - startMs);
      return 1;
    });
    const parallel = await runFor((SECONDS * 1000) / 2, 64, (call) =>
      send(`crowd-${part}`, call).then(() => 1),
    );
    record({
      part: `${part}, one at a time`,
      "events/s": alone.perSecond,
      ...latencies(samples),
      "64 at once, events/s": parallel.perSecond,
    });
  }
  await caller.close();
}

async function fill(rest: RestClient, events: number): Promise<void> {
  const batches = Math.ceil(events / 500);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < batches) {
      const batch = next;
      next += 1;
      await sendBatch(rest, "fill", batch);
      if (batch % 200 === 0) process.stderr.write(`\rmemory part: ${batch * 500} of ${events} events`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  process.stderr.write("\n");
}

/** Waits until segments has applied every event, so that the next part starts with an idle system. */
async function untilIdle(rest: RestClient): Promise<void> {
  while ((await rest.get("/v1/segments/abandoned-cart")).status !== 200) await systemClock.sleep(100);
}

async function finishThenIdle<Result>(rest: RestClient, part: Promise<Result>): Promise<Result> {
  const result = await part;
  await untilIdle(rest);
  return result;
}

function memory(installation: Installation): Map<string, number> {
  return new Map([...installation.processes].map(([target, { pid }]) => [target, residentMiB(pid)]));
}

await main();
