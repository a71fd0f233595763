// Runs the whole segments module with a real shard consumer on the embedded bus, beside a fake events
// service.
import type { Bus } from "@muster/bus";
import { EmbeddedBus } from "@muster/bus/embedded";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { type OrganizationId, type ProfileId, randomIds, type SegmentId } from "@muster/core";
import type { Database, Engine } from "@muster/db";
import type { Logger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import type { Client } from "@muster/rpc";
import { FakeClock, openTestDatabase } from "@muster/testkit";
import { ModuleUnderTest, startParts, testLogger } from "@muster/testkit/module";
import { expect } from "vitest";
import { isMemberByRawEvents } from "../src/engine/reference/reference-evaluator.ts";
import type { Rule } from "../src/engine/rule/rule.ts";
import { segmentsModule } from "../src/module.ts";
import { listSegmentsOf } from "../src/segment-model/segment-store.ts";
import { FakeEventsService } from "./fake-events-service.ts";

export const DAY_MS = 24 * 60 * 60 * 1000;

export type SegmentsClient = Client<typeof SegmentService>;

export class Replica extends ModuleUnderTest {
  /** A client with an API key of the organization. */
  as(organizationId: OrganizationId, headers: Record<string, string> = {}): SegmentsClient {
    return this.client(SegmentService, { organizationId, headers });
  }
}

export interface SegmentsHarness {
  readonly clock: FakeClock;
  readonly database: Database;
  readonly events: FakeEventsService;
  readonly organizationId: OrganizationId;
  readonly first: Replica;
  /** A client of the harness's organization. */
  readonly segments: SegmentsClient;
  start(instanceId: string, exclusive?: boolean): Promise<Replica>;
  newOrganization(): OrganizationId;
  newProfile(): ProfileId;
  close(): Promise<void>;
}

export interface HarnessOptions {
  readonly exclusive?: boolean;
  /** Wraps the database of each replica. */
  readonly wrap?: (database: Database) => Database;
  /**
   * Makes a bus for each replica and for the fake events service, as between processes. By default all share
   * a bus.
   */
  readonly newBus?: (clock: FakeClock, log: Logger) => Promise<Bus>;
}

export async function openHarness(engine: Engine, options: HarnessOptions = {}): Promise<SegmentsHarness> {
  const clock = new FakeClock();
  const log = testLogger();
  const embedded = new EmbeddedBus({ clock, log });
  const buses: Bus[] = [];
  const newBus = async (): Promise<Bus> => {
    const bus = options.newBus === undefined ? embedded : await options.newBus(clock, log);
    buses.push(bus);
    return bus;
  };
  const own = await openTestDatabase(engine, segmentsModule.migrations);
  const producing = await openTestDatabase(engine, new URL("./migrations/", import.meta.url));
  const common = { clock, log, ids: randomIds };
  const bus = await newBus();
  const events = new FakeEventsService({
    ...common,
    bus,
    database: producing.database,
    metrics: new Metrics(),
  });
  await events.outbox.start();
  const replicas = new Set<Replica>();

  const start = async (instanceId: string, exclusive = options.exclusive ?? true): Promise<Replica> => {
    const shared = options.newBus === undefined ? { pool: own.database } : {};
    const parts = await startParts(segmentsModule, engine, {
      beside: { stored: own },
      bus: await newBus(),
      clock,
      instanceId,
      exclusive,
      ...shared,
      callers: { events: events.caller, identity: events.caller },
      wrap: options.wrap,
    });
    const replica = new Replica(parts);
    replicas.add(replica);
    return replica;
  };
  const organizationId = randomIds.next<OrganizationId>(clock.nowMs());
  const first = await start("first");
  return {
    clock,
    database: own.database,
    events,
    organizationId,
    first,
    segments: first.as(organizationId),
    start,
    newOrganization: () => randomIds.next<OrganizationId>(clock.nowMs()),
    newProfile: () => randomIds.next<ProfileId>(clock.nowMs()),
    async close() {
      for (const replica of replicas) await replica.stop();
      await events.outbox.stop();
      for (const one of new Set(buses)) await one.close();
      await Promise.all([own.close(), producing.close()]);
    },
  };
}

/** The member ids of a segment, from all pages. */
export async function membersOf(
  client: SegmentsClient,
  segmentId: string,
  pageSize = 500,
): Promise<string[]> {
  const ids: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await client.listSegmentMembers({ segmentId, pageSize, pageToken });
    ids.push(...page.profiles.map(({ id }) => id));
    pageToken = page.nextPageToken;
    if (pageToken === "") return ids;
  }
}

/** Compares a segment's members and count with a brute-force evaluation over the raw events. */
export async function expectExactMembers(
  harness: SegmentsHarness,
  slug: string,
  organizationId = harness.organizationId,
): Promise<void> {
  const client = harness.first.as(organizationId);
  await client.listSegments({});
  for (;;) {
    // A rule switch may have happened while the reads below waited.
    const segments = await listSegmentsOf(harness.database.reader, [organizationId]);
    const segment = segments.find((one) => one.slug === slug);
    if (segment === undefined) throw new Error(`no segment ${slug}`);
    const committed = harness.events.raw.length;
    const members = await membersOf(client, slug);
    const { segment: described } = await client.getSegment({ segmentId: slug });
    // A commit happened between the reads, so they may differ.
    if (harness.events.raw.length !== committed) continue;
    const now = await listSegmentsOf(harness.database.reader, [organizationId]);
    if (now.some(({ id, version }) => segments.find((one) => one.id === id)?.version !== version)) continue;
    const rules = new Map(segments.map(({ id, rule }) => [id, rule]));
    const expected = membersByRawEvents(harness, segment.rule, rules, organizationId);
    expect(members).toEqual(expected);
    expect(Number(described?.memberCount)).toBe(expected.length);
    return;
  }
}

function membersByRawEvents(
  harness: SegmentsHarness,
  rule: Rule,
  rules: ReadonlyMap<SegmentId, Rule>,
  organizationId: OrganizationId,
): ProfileId[] {
  const nowMs = harness.clock.nowMs();
  const byProfile = new Map<ProfileId, { eventName: string; ms: number }[]>();
  const { events } = harness;
  for (const [id, owner] of events.profiles) {
    if (owner === organizationId && events.rootOf(id) === id) byProfile.set(id, []);
  }
  for (const { profileId, name, ms } of events.raw) {
    byProfile.get(events.rootOf(profileId))?.push({ eventName: name, ms });
  }
  return [...byProfile]
    .filter(([, own]) => isMemberByRawEvents(rule, own, nowMs, { ruleOf: (id) => rules.get(id) }))
    .map(([id]) => id)
    .sort();
}
