// Measures lists of members over REST (`make bench-users`): a million members, and an organization of 100,000.
import { systemClock, uuidToBytes } from "@muster/core";
import { startServers, waitFor } from "@muster/testkit";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { latencies } from "../measure.ts";
import { Results } from "../results.ts";
import { loadLogins } from "./load-logins.ts";
import { LARGE_MEMBERS, loadMembers, MEMBERS } from "./load-members.ts";

/** MUSTER_BENCH_CALLS sets the calls of each part. */
const CALLS = Number(process.env.MUSTER_BENCH_CALLS ?? 200);
const BUFFER_POOL_MIB = 3_072;
const GOAL_MS = 50;
const GOAL_CONTAINS_MS = 500;
const PAGE_SIZE = 100;
/** With pages of 100 members, this page is the last one. */
const PAGE = LARGE_MEMBERS / PAGE_SIZE;
/** The most that a request may have. */
const LARGE_PAGE_SIZE = 500;

const results = new Results("bench-users");

interface Part {
  readonly name: string;
  readonly goalMs: number;
  /** The path of a call. */
  readonly path: (call: number) => string;
}

const users = (query: string): string => `/v1/users?${query}`;
const filter = (text: string): string => users(`filter=${encodeURIComponent(text)}`);
const from = <Item>(items: readonly Item[], call: number): Item => items[call % items.length] as Item;
const NAMES = ["John Smith", "Ada Lovelace", "Joanna Zhang", "Mei Okafor", "Yuki Abbott"];
const PREFIXES = ["jo", "john", "a", "maria", "yuki"];
const SORTS = [
  "name",
  "email",
  "role",
  "status",
  "login_count",
  "last_login_at",
  "create_time",
  "update_time",
];

const PARTS: readonly Part[] = [
  equality("name", (call) => `name=="${from(NAMES, call)}"`),
  equality("email", (call) => `email==ada.abbott.${1 + (call % 50) * 2_400}@example.com`),
  equality("role", (call) => `role==${from(["owner", "auditor", "admin", "member"], call)}`),
  equality("login_count", (call) => `login_count==${call}`),
  ...["name", "email"].map((field) => ({
    name: `prefix of ${field}`,
    goalMs: GOAL_MS,
    path: (call: number) => filter(`${field}==${from(PREFIXES, call)}*`),
  })),
  { name: "sort ascending", goalMs: GOAL_MS, path: (call) => users(`sort=${from(SORTS, call)}`) },
  { name: "sort descending", goalMs: GOAL_MS, path: (call) => users(`sort=-${from(SORTS, call)}`) },
  {
    name: "q, one word",
    goalMs: GOAL_MS,
    path: (call) => users(`q=${from(["jo", "john", "smith", "j", "e", "lovelace"], call)}`),
  },
  {
    name: "q, two words",
    goalMs: GOAL_MS,
    path: (call) =>
      users(`q=${encodeURIComponent(from(["john smith", "ada lov", "mei oka", "yuki zhang"], call))}`),
  },
  {
    name: "*jo*, and a text that nobody has",
    goalMs: GOAL_CONTAINS_MS,
    path: (call) => filter(from(["name==*jo*", "name==*zzz*", "name==*hn*;status==active"], call)),
  },
  {
    name: "*jo* by last login",
    goalMs: GOAL_CONTAINS_MS,
    path: (call) => `${filter(from(["name==*jo*", "name==*zzz*"], call))}&sort=-last_login_at`,
  },
  ...["7d", "30d"].map((window) => ({
    name: `top-logins, ${window}`,
    goalMs: GOAL_MS,
    path: () => `/v1/users/top-logins?window=${window}`,
  })),
  {
    name: "inactive",
    goalMs: GOAL_MS,
    path: (call) => `/v1/users/inactive?window=${from(["hour", "day", "week", "month"], call)}`,
  },
];

function equality(field: string, filterOf: (call: number) => string): Part {
  return { name: `${field} equal`, goalMs: GOAL_MS, path: (call) => filter(filterOf(call)) };
}

async function main(): Promise<void> {
  const servers = await startServers({ bufferPoolMiB: BUFFER_POOL_MIB, isPrivate: true });
  process.env.MUSTER_TEST_MYSQL_URL = servers.mysqlUrl;
  process.env.MUSTER_TEST_NATS_URL = servers.natsUrl;
  const installation = await startInstallation("production");
  try {
    const rest = new RestClient(installation);
    const organizationId = await load(installation, servers.mysqlUrl, rest);
    for (const part of PARTS) results.record(await measure(rest, part));
    results.record(await measure(rest, loginStats(organizationId)));
    results.record(await measure(rest, largePages()));
    for (const sort of ["", "-last_login_at"]) results.record(await measureDeepPage(rest, sort));
    await results.report({ members: MEMBERS, members_of_organization: LARGE_MEMBERS, calls: CALLS });
  } finally {
    await installation.stop();
    await servers.stop();
  }
}

async function load(installation: Installation, mysqlUrl: string, rest: RestClient): Promise<string> {
  const isReady = async (): Promise<boolean> => (await rest.get("/v1/organizations")).status === 200;
  await waitFor(isReady, { timeoutMs: 60_000 });
  const { organizations } = (await rest.get("/v1/organizations")).body;
  const startMs = systemClock.monotonicMs();
  const database = `${installation.variables.MUSTER_DATABASE_PREFIX}identity`;
  const log = (text: string): void => {
    const seconds = Math.round((systemClock.monotonicMs() - startMs) / 1_000);
    process.stderr.write(`${seconds} s: loads ${text}\n`);
  };
  const [{ id }] = organizations;
  await loadMembers(mysqlUrl, database, uuidToBytes(id), log);
  log("logins");
  await loadLogins(mysqlUrl, database, uuidToBytes(id), systemClock.nowMs());
  return id;
}

function loginStats(organizationId: string): Part {
  const path = (call: number) =>
    `/v1/organizations/${organizationId}/login-stats?window=${from(["7d", "30d"], call)}`;
  return { name: "login-stats", goalMs: GOAL_MS, path };
}

/** Ten times the default size, with the goal of the default size. */
function largePages(): Part {
  const path = (call: number) => users(`page_size=${LARGE_PAGE_SIZE}&sort=${from(SORTS, call)}`);
  return { name: `sort, ${LARGE_PAGE_SIZE} members a page`, goalMs: GOAL_MS, path };
}

async function measure(rest: RestClient, { name, goalMs, path }: Part) {
  const samples: number[] = [];
  // The first calls warm caches and are not counted.
  for (let call = -10; call < CALLS; call += 1) {
    const startMs = systemClock.monotonicMs();
    await list(rest, path(Math.abs(call)));
    if (call >= 0) samples.push(systemClock.monotonicMs() - startMs);
  }
  return row(name, samples, goalMs);
}

/** Walks to the page and measures it repeatedly. */
async function measureDeepPage(rest: RestClient, sort: string) {
  let token = "";
  for (let page = 1; page < PAGE; page += 1) {
    const path = users(`page_size=${PAGE_SIZE}&sort=${sort}&page_token=${token}`);
    token = (await list(rest, path)).next_page_token;
  }
  const path = users(`page_size=${PAGE_SIZE}&sort=${sort}&page_token=${token}`);
  return measure(rest, { name: `page ${PAGE} by ${sort || "id"}`, goalMs: GOAL_MS, path: () => path });
}

async function list(rest: RestClient, path: string): Promise<{ readonly next_page_token: string }> {
  const response = await rest.get(path);
  if (response.status !== 200) throw new Error(`${path} returned ${response.status}: ${response.text}`);
  return response.body;
}

function row(part: string, samples: readonly number[], goalMs: number) {
  const times = latencies(samples);
  return { part, ...times, goal_p99_ms: goalMs, goal: times.p99_ms <= goalMs ? "met" : "MISSED" };
}

await main();
