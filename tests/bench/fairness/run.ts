// Measures whether a tenant can block a process (`make bench-fairness`): the tenant sends costly requests, and the
// latencies of probes and of a second tenant's single posts are measured.
import { systemClock } from "@muster/core";
import { createOrganization } from "../../harness/create-organization.ts";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { cpuSeconds, residentMiB, round } from "../measure.ts";
import { Results } from "../results.ts";
import { Bystanders } from "./bystanders.ts";
import { COSTLY_REQUESTS, type CostlyRequest, type Tenant } from "./requests.ts";

/** MUSTER_BENCH_SECONDS sets how long each request is sent. */
const SECONDS = Number(process.env.MUSTER_BENCH_SECONDS ?? 5);
/** MUSTER_BENCH_ONLY selects the requests whose names contain the text. */
const ONLY = process.env.MUSTER_BENCH_ONLY ?? "";
const SENDERS = 2;
const GOAL_P99_MS = 250;
/** A request without a response by then is given up. */
const GIVE_UP_MS = 60_000;

const results = new Results("bench-fairness");

async function main(): Promise<void> {
  const installation = await startInstallation("embedded");
  let bystanders: Bystanders | undefined;
  try {
    const tenant = await tenantOf(installation, "Costly");
    const other = await tenantOf(installation, "Other");
    bystanders = await Bystanders.start(installation.url, other.rest);
    const idle = await bystanders.during(() => systemClock.sleep(2_000));
    results.record({ part: "nothing else", ...idle });
    for (const request of COSTLY_REQUESTS) {
      if (request.name.includes(ONLY)) await measure(request, tenant, bystanders);
    }
    await results.report({ seconds: SECONDS, senders: SENDERS, goal_p99_ms: GOAL_P99_MS });
  } finally {
    bystanders?.stop();
    await installation.stop();
  }
}

async function measure(request: CostlyRequest, tenant: Tenant, bystanders: Bystanders): Promise<void> {
  const send = await request.prepare(tenant);
  const pid = tenant.installation.processes.get("all")?.pid ?? 0;
  await untilIdle(pid);
  const cpuBefore = cpuSeconds(pid);
  const statuses = new Map<number | string, number>();
  const figures = await bystanders.during(async () => {
    const endMs = systemClock.monotonicMs() + SECONDS * 1000;
    const sender = async (): Promise<void> => {
      do {
        const status = await Promise.race([send().catch(() => "failed"), giveUp()]);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      } while (systemClock.monotonicMs() < endMs);
    };
    await Promise.all(Array.from({ length: SENDERS }, sender));
    // The work that the requests leave behind counts as well.
    await systemClock.sleep(1_000);
  });
  const isGood = Object.entries(figures).every(([name, ms]) => !name.endsWith("p99_ms") || ms <= GOAL_P99_MS);
  results.record({
    part: request.name,
    ...figures,
    cpu_s: round(cpuSeconds(pid) - cpuBefore, 1),
    rss_mib: residentMiB(pid),
    responses: [...statuses].map(([status, count]) => `${count}×${status}`).join(" "),
    goal: isGood ? "met" : "MISSED",
  });
}

/** Waits until the process rests, for at most ten seconds. */
async function untilIdle(pid: number): Promise<void> {
  for (let round = 0; round < 20; round += 1) {
    const before = cpuSeconds(pid);
    await systemClock.sleep(500);
    if (cpuSeconds(pid) - before < 0.1) return;
  }
}

async function giveUp(): Promise<string> {
  await systemClock.sleep(GIVE_UP_MS);
  return "gave up";
}

async function tenantOf(installation: Installation, name: string): Promise<Tenant> {
  const { apiKey } = await createOrganization(installation, name);
  return { installation, apiKey, rest: new RestClient({ url: installation.url, apiKey }) };
}

await main();
