// Measures reads, maintenance and backfills of segments beside a GROUP BY over raw events (`make
// bench-segments`). One run uses the production adapters. MUSTER_BENCH_SIZE=full uses 100,000 profiles and 5
// million events; the default uses a fifth of that. The sizes reads-1m and reads-10m compare reads alone,
// over histories of different length with the same number of profiles.
import { bytesToUuid, type OrganizationId, type ProfileId, systemClock, uuidToBytes } from "@muster/core";
import { startServers } from "@muster/testkit";
import { type Connection, createConnection } from "mysql2/promise";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient, type RestResponse } from "../../harness/rest.ts";
import { round } from "../measure.ts";
import { Results } from "../results.ts";
import { measureExits } from "./exits.ts";
import { buildIndexedCopy, measureGroupBy, measureOneProfile } from "./group-by-baseline.ts";
import { organizationOf, writeHistory } from "./history.ts";
import { measureIdle } from "./idle.ts";
import { measureMaintenance } from "./maintenance.ts";
import { createSegment, timeReads, untilLive } from "./reads.ts";
import { COUNT_SEGMENTS, mixedRules, RARE_SEGMENT } from "./rules.ts";

interface Size {
  readonly profiles: number;
  readonly events: number;
  /** The parts after the reads of count segments; unset for sizes that compare only reads. */
  readonly rest?: {
    readonly maintained: number;
    readonly exits: number;
    readonly states: number;
    readonly idleMs: number;
  };
}

const SIZES: Readonly<Record<string, Size>> = {
  small: {
    profiles: 4_000,
    events: 50_000,
    rest: { maintained: 4_000, exits: 2_000, states: 1_000_000, idleMs: 30_000 },
  },
  default: {
    profiles: 20_000,
    events: 1_000_000,
    rest: { maintained: 20_000, exits: 10_000, states: 1_000_000, idleMs: 30_000 },
  },
  full: {
    profiles: 100_000,
    events: 5_000_000,
    rest: { maintained: 50_000, exits: 10_000, states: 1_000_000, idleMs: 60_000 },
  },
  "reads-1m": { profiles: 100_000, events: 1_000_000 },
  "reads-5m": { profiles: 100_000, events: 5_000_000 },
  "reads-10m": { profiles: 100_000, events: 10_000_000 },
};
const SIZE = process.env.MUSTER_BENCH_SIZE ?? "default";
const { profiles: PROFILES, events: EVENTS, rest: REST } = sizeOf(SIZE);
const SEGMENTS = 100;
const READS = 200;

const results = new Results("bench-segments");

interface Stage {
  readonly installation: Installation;
  readonly rest: RestClient;
  readonly events: Connection;
  readonly segments: Connection;
  readonly organization: Buffer;
}

async function main(): Promise<void> {
  // A private server whose buffer pool holds the data of both sides, so that the baseline does not wait for
  // the disk.
  const servers = await startServers({ isPrivate: true, bufferPoolMiB: 2048 });
  process.env.MUSTER_TEST_MYSQL_URL = servers.mysqlUrl;
  process.env.MUSTER_TEST_NATS_URL = servers.natsUrl;
  const installation = await startInstallation("production");
  const prefix = installation.variables.MUSTER_DATABASE_PREFIX;
  const connect = (service: string): Promise<Connection> =>
    createConnection({ uri: servers.mysqlUrl, database: `${prefix}${service}` });
  const [events, segments] = [await connect("events"), await connect("segments")];
  try {
    const organization = await organizationOf(events, `${prefix}identity`);
    const stage = { installation, rest: new RestClient(installation), events, segments, organization };
    const profiles = await load(stage);
    await measureReads(stage, await makeSegments(stage), profiles);
    if (REST !== undefined) await measureUpkeep(stage, REST);
    await results.report({ mode: installation.mode, size: SIZE, profiles: PROFILES, events: EVENTS });
  } finally {
    await Promise.all([events.end(), segments.end()]);
    await installation.stop();
    await servers.stop();
  }
}

async function load({ rest, events, organization }: Stage): Promise<ProfileId[]> {
  const organizationId = bytesToUuid<OrganizationId>(organization);
  const endMs = systemClock.nowMs();
  const startMs = systemClock.monotonicMs();
  const profiles = await writeHistory(events, { organizationId, profiles: PROFILES, events: EVENTS, endMs });
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  results.record({
    part: "history inserted into the tables",
    events: EVENTS,
    seconds: round(seconds, 1),
  });
  await rest.get("/v1/segments");
  return profiles;
}

/** Returns the ids of the count segments. */
async function makeSegments({ rest }: Stage): Promise<string[]> {
  const [first, ...others] = COUNT_SEGMENTS;
  const counting = [await createSegment(rest, first)];
  results.record({
    part: "backfill of the first segment",
    seconds: round((await untilLive(rest, counting[0] ?? "")) / 1000),
  });
  for (const segment of others) counting.push(await createSegment(rest, segment));
  if (REST === undefined) {
    for (const id of counting) await untilLive(rest, id);
    return counting;
  }
  const mixed: string[] = [];
  const startMs = systemClock.monotonicMs();
  for (const segment of mixedRules(SEGMENTS - COUNT_SEGMENTS.length - 1)) {
    mixed.push(await createSegment(rest, segment));
  }
  for (const id of mixed) await untilLive(rest, id);
  results.record({
    part: `${SEGMENTS - 2} more created and backfilled together`,
    seconds: round((systemClock.monotonicMs() - startMs) / 1000),
  });
  const another = { name: "One more", event_name: "search.made", min_count: 2, within_days: 14 };
  results.record({
    part: `backfill of a count segment beside ${SEGMENTS}`,
    seconds: round((await untilLive(rest, await createSegment(rest, another))) / 1000),
  });
  return counting;
}

async function measureReads(
  { rest, events, organization }: Stage,
  counting: readonly string[],
  profiles: readonly ProfileId[],
): Promise<void> {
  const profileAt = (call: number): ProfileId =>
    profiles[(call * 7919) % profiles.length] ?? ("" as ProfileId);
  const segment = (call: number): string => counting[call % counting.length] ?? "";
  const page = await timeReads(READS, (call) => rest.get(`/v1/segments/${segment(call)}/profiles`));
  results.record({ part: "members, first page of 50", ...page });
  const deep = (call: number) => rest.get(`/v1/segments/${segment(call)}/profiles?page_size=500`);
  results.record({ part: "members, page of 500", ...(await timeReads(READS / 4, deep)) });
  const own = await timeReads(READS, (call) => rest.get(`/v1/profiles/${profileAt(call)}/segments`));
  results.record({ part: "all segments of one profile", ...own });

  await measureQueries(rest, segment, profileAt);

  const grouped = await measureGroupBy(events, "tracked_events", organization, COUNT_SEGMENTS, 3);
  const ratio = round(grouped.p50_ms / page.p50_ms, 1);
  results.record({ part: "baseline: GROUP BY, as stored", ...grouped, "times the members page": ratio });
  await buildIndexedCopy(events);
  const indexed = await measureGroupBy(events, "events_for_grouping", organization, COUNT_SEGMENTS, 10);
  results.record({
    part: "baseline: GROUP BY, covering index",
    ...indexed,
    "times the members page": round(indexed.p50_ms / page.p50_ms, 1),
  });
  const requested = Array.from({ length: READS }, (_, call) => uuidToBytes(profileAt(call)));
  const one = await measureOneProfile(events, organization, requested, COUNT_SEGMENTS);
  results.record({ part: `baseline: one profile in ${COUNT_SEGMENTS.length} segments`, ...one });
  await measureRare({ rest, events, organization });
}

/**
 * A page of a large segment ends after the first matching profiles; a page of a rare segment must read all
 * profiles.
 */
async function measureRare({
  rest,
  events,
  organization,
}: Pick<Stage, "rest" | "events" | "organization">): Promise<void> {
  const id = await createSegment(rest, RARE_SEGMENT);
  await untilLive(rest, id);
  const page = await timeReads(READS, () => rest.get(`/v1/segments/${id}/profiles`));
  results.record({ part: "members of a rare segment", ...page });
  for (const [part, table, rounds] of [
    ["baseline, rare: GROUP BY, as stored", "tracked_events", 3],
    ["baseline, rare: GROUP BY, covering index", "events_for_grouping", 10],
  ] as const) {
    const grouped = await measureGroupBy(events, table, organization, [RARE_SEGMENT], rounds);
    const ratio = round(grouped.p50_ms / page.p50_ms, 1);
    results.record({ part, ...grouped, "times the members page": ratio });
  }
}

/** Measures requests about a single profile, about many profiles, and before a segment is saved. */
async function measureQueries(
  rest: RestClient,
  segment: (call: number) => string,
  profileAt: (call: number) => ProfileId,
): Promise<void> {
  const explained = await timeReads(READS, (call) =>
    rest.get(`/v1/segments/${segment(call)}/profiles/${profileAt(call)}:explain`),
  );
  results.record({ part: "explain", ...explained });
  const checked = await timeReads(READS / 10, (call) => {
    const checks = Array.from({ length: 1000 }, (_, index) => ({
      segment: segment(index),
      profile_id: profileAt(call * 1000 + index),
    }));
    return rest.post("/v1/memberships:batchCheck", { checks });
  });
  results.record({ part: "batch check of 1,000", ...checked });
  if (REST !== undefined) await measurePreviews(rest);
}

async function measurePreviews(rest: RestClient): Promise<void> {
  const rule = { event_name: "product.viewed", min_count: 4, within_days: 9 };
  const preview = (exact: boolean) => rest.post("/v1/segments:preview", { ...rule, exact });
  const figures = ({ body }: RestResponse) => ({
    exact: String(body.exact),
    count: `${body.count} ± ${body.error_bound}`,
  });
  let response = await preview(false);
  const previewed = await timeReads(5, async () => {
    response = await preview(false);
    return response;
  });
  results.record({ part: "preview of a new rule", ...previewed, ...figures(response) });
  const startMs = systemClock.monotonicMs();
  const exact = await preview(true);
  if (exact.status !== 200) throw new Error(`an exact preview got ${exact.status}: ${exact.text}`);
  const seconds = round((systemClock.monotonicMs() - startMs) / 1000);
  results.record({ part: "preview of a new rule, exact", seconds, ...figures(exact) });
}

async function measureUpkeep(
  { installation, rest, segments }: Stage,
  { maintained, exits, states, idleMs }: NonNullable<Size["rest"]>,
): Promise<void> {
  results.record(await measureExits(rest, segments, exits));
  for (const shape of ["10 affected", "all affected"] as const) {
    for (const count of [10, 100, 1000]) {
      results.record(await measureMaintenance(installation, count, shape, maintained));
    }
  }
  for (const row of await measureIdle(installation, segments, { states, forMs: idleMs })) results.record(row);
}

function sizeOf(name: string): Size {
  const size = SIZES[name];
  if (size === undefined) throw new Error(`MUSTER_BENCH_SIZE is one of ${Object.keys(SIZES).join(", ")}`);
  return size;
}

await main();
