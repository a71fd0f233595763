// Measures the cost of the read models per event, and compares summaries and points with the same results
// from raw events (`make bench-behavior`). One run uses the production adapters. MUSTER_BENCH_SIZE is
// `small` for a short check or `full` for 5 million events; the default is one million.
import { bytesToUuid, type OrganizationId, type ProfileId, systemClock, uuidToBytes } from "@muster/core";
import { type Database, openMysql } from "@muster/db";
import { startServers } from "@muster/testkit";
import { type Connection, createConnection } from "mysql2/promise";
import { buildReadModels } from "../../../services/events/tests/build-read-models.ts";
import { type Installation, startInstallation } from "../../harness/installation.ts";
import { RestClient } from "../../harness/rest.ts";
import { round } from "../measure.ts";
import { Results } from "../results.ts";
import { organizationOf, writeHistory } from "../segments/history.ts";
import { timeReads } from "../segments/reads.ts";
import { type AlertSizes, measureAlerts, measureUnmatched } from "./alerts.ts";
import { measureIngestCost, mixes } from "./ingest-cost.ts";
import { type RawEvents, rawPoints, rawPointsOfAll, rawSummary, timed } from "./raw-events.ts";
import { modelPoints, modelSummary, type ReadModel } from "./read-model.ts";

const SIZES = {
  small: { profiles: 2_000, events: 50_000, views: 5_000, rounds: 2, batches: 20, reads: 100 },
  default: { profiles: 20_000, events: 1_000_000, views: 100_000, rounds: 7, batches: 100, reads: 1_000 },
  full: { profiles: 100_000, events: 5_000_000, views: 100_000, rounds: 7, batches: 200, reads: 1_000 },
} as const;
const SIZE = process.env.MUSTER_BENCH_SIZE ?? "default";
const size = SIZES[SIZE as keyof typeof SIZES];
if (size === undefined) throw new Error(`MUSTER_BENCH_SIZE is one of ${Object.keys(SIZES).join(", ")}`);
const { profiles: PROFILES, events: EVENTS, views: VIEWS, rounds, batches, reads: READS } = size;
const alertSizes: AlertSizes = { rounds, batches, actions: READS, deposits: VIEWS };
const PRICES = new Map([
  ["LOGIN", 1],
  ["PURCHASE", 10],
  ["REFERRAL", 20],
  ["order.completed", 5],
  ["review.written", 2.5],
]);
const HEAVY_USER = "crowd";
const BATCH = 500;

const results = new Results("bench-behavior");

/** The installation and connections for all parts of the benchmark. */
export interface Stage {
  readonly installation: Installation;
  readonly rest: RestClient;
  readonly events: Connection;
  /** The same database, as the product reads it. */
  readonly database: Database;
  readonly organization: Buffer;
  /** Ordered by number: user `shopper-7` is the eighth profile. */
  readonly profiles: readonly ProfileId[];
}

async function main(): Promise<void> {
  const servers = await startServers();
  process.env.MUSTER_TEST_MYSQL_URL = servers.mysqlUrl;
  process.env.MUSTER_TEST_NATS_URL = servers.natsUrl;
  for (const onlyViews of [false, true]) {
    for (const row of await measureIngestCost(mixes, { rounds, batches, onlyViews })) results.record(row);
  }
  for (const row of await measureUnmatched(alertSizes)) results.record(row);
  const installation = await startInstallation("production");
  const prefix = installation.variables.MUSTER_DATABASE_PREFIX;
  const location = { url: servers.mysqlUrl, database: `${prefix}events` };
  const events = await createConnection({ uri: location.url, database: location.database });
  const database = await openMysql(location);
  try {
    const organization = await organizationOf(events, `${prefix}identity`);
    const organizationId = bytesToUuid<OrganizationId>(organization);
    const profiles = await writeEventHistory(events, database, organizationId);
    const rest = new RestClient(installation);
    const stage: Stage = { installation, rest, events, database, organization, profiles };
    await addEventTypes(stage.rest);
    await addHeavyUser(stage.rest);
    await measureReads(stage);
    for (const row of await measureAlerts(stage, alertSizes)) results.record(row);
    await results.report({ mode: installation.mode, size: SIZE, profiles: PROFILES, events: EVENTS });
  } finally {
    await Promise.all([events.end(), database.close()]);
    await installation.stop();
    await servers.stop();
  }
}

/**
 * Inserts raw events directly into the table, and then builds the read models from the table.
 */
async function writeEventHistory(
  events: Connection,
  database: Database,
  organizationId: OrganizationId,
): Promise<ProfileId[]> {
  const endMs = systemClock.nowMs();
  const profiles = await writeHistory(events, { organizationId, profiles: PROFILES, events: EVENTS, endMs });
  const startMs = systemClock.monotonicMs();
  await database.transaction(buildReadModels);
  await events.query("ANALYZE TABLE event_counts, page_view_hours");
  const seconds = (systemClock.monotonicMs() - startMs) / 1000;
  results.record({ part: "read models built by the migration", events: EVENTS, seconds: round(seconds, 1) });
  return profiles;
}

async function addEventTypes(rest: RestClient): Promise<void> {
  for (const [name, price] of PRICES) {
    if (name === name.toUpperCase()) continue;
    const response = await rest.post("/v1/event-types", { name, price });
    if (response.status !== 201) throw new Error(`an event type got ${response.status}: ${response.text}`);
  }
}

/** Adds a user with many views in one hour. */
async function addHeavyUser(rest: RestClient): Promise<void> {
  const startMs = systemClock.nowMs() - 3_600_000;
  for (let start = 0; start < VIEWS; start += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => ({
      user_id: HEAVY_USER,
      name: "page.viewed",
      timestamp: new Date(startMs + Math.floor(((start + index) * 3_600_000) / VIEWS)).toISOString(),
      properties: { name: `Page ${index % 40} of the shop` },
    }));
    const response = await rest.post("/v1/events:batch", { events });
    if (response.status !== 200) throw new Error(`a batch got ${response.status}: ${response.text}`);
  }
}

async function measureReads(stage: Stage): Promise<void> {
  const { rest, events: connection, database, organization, profiles } = stage;
  const raw: RawEvents = { connection, organization, prices: PRICES };
  const model: ReadModel = { database, organization, prices: PRICES };
  // The step is coprime to the number of profiles, so that reads cover all kinds of users.
  const pick = (call: number): number => (call * 7919) % profiles.length;
  const profileAt = (call: number): Buffer => uuidToBytes(profiles[pick(call)] ?? "");
  const heavyUser = await heavyUserProfile(rest);
  await requireSame(rest, raw, heavyUser);
  const measure = async (
    part: string,
    sources: Readonly<Record<string, () => Promise<object>>>,
  ): Promise<void> => {
    for (const [source, run] of Object.entries(sources))
      results.record({ part: `${part}, ${source}`, ...(await run()) });
  };
  await measure("summary of a user", {
    "over REST": () => timeReads(READS, (call) => rest.get(`/v1/user/shopper-${pick(call)}`)),
    "read models alone": () => timed(READS, (call) => modelSummary(model, profileAt(call))),
    "raw events alone": () => timed(READS, (call) => rawSummary(raw, profileAt(call))),
  });
  await measure(`summary of a user with ${VIEWS} views in an hour`, {
    "over REST": () => timeReads(READS / 10, () => rest.get(`/v1/user/${HEAVY_USER}`)),
    "read models alone": () => timed(READS / 10, () => modelSummary(model, heavyUser)),
    "raw events alone": () => timed(READS / 10, () => rawSummary(raw, heavyUser)),
  });
  await measure("points of a user", {
    "over REST": () => timeReads(READS, (call) => rest.get(`/v1/users/events?user_id=shopper-${pick(call)}`)),
    "read models alone": () => timed(READS, (call) => modelPoints(model, [profileAt(call)])),
    "raw events alone": () => timed(READS, (call) => rawPoints(raw, profileAt(call))),
  });
  await measure(`points of a user with ${VIEWS} views in an hour`, {
    "read models alone": () => timed(READS / 10, () => modelPoints(model, [heavyUser])),
    "raw events alone": () => timed(READS / 10, () => rawPoints(raw, heavyUser)),
  });
  await measure("points of 1,000 users", {
    "over REST": () => timeReads(READS / 20, () => rest.get("/v1/users/events")),
  });
  await measure("points of all users", {
    "read models alone": () => timed(3, () => modelPoints(model, profiles.map(uuidToBytes))),
    "raw events alone": () => timed(3, () => rawPointsOfAll(raw)),
  });
}

async function heavyUserProfile(rest: RestClient): Promise<Buffer> {
  const { body } = await rest.get(`/v1/profiles?user_id=${HEAVY_USER}`);
  return uuidToBytes(body.profiles[0].id);
}

/** Both sources must return the same result; otherwise the figures have no meaning. */
async function requireSame(rest: RestClient, raw: RawEvents, heavyUser: Buffer): Promise<void> {
  const { body } = await rest.get(`/v1/user/${HEAVY_USER}`);
  const fromRawEvents = await rawSummary(raw, heavyUser);
  const ours = [
    body.number_pages_viewed_in_the_last_7_days,
    body.time_spent_on_site_in_last_7_days,
    body.most_viewed_page_in_last_7_days,
  ];
  const theirs = [fromRawEvents.pagesViewed, fromRawEvents.minutesSpent, fromRawEvents.mostViewedPage];
  if (JSON.stringify(ours) !== JSON.stringify(theirs)) throw new Error(`${ours} is not ${theirs}`);
}

await main();
