// Tests the execution plans of hot queries in MariaDB: each query uses an index and neither sorts nor scans a
// table. The golden file shows changed queries and indexes.
import { randomBytes } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertRuleKind } from "@muster/contracts/muster/events/v1/alert_pb";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { type ProfileId, randomIds, type TrackedEventId, uuidToBytes, WorkBudget } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { findContaining } from "@muster/outbox/testing";
import { golden } from "@muster/testkit";
import { expectIndexed, isDerived, isMariaDb, plansOf } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { NewestCell, pathOf } from "../src/alert-history/history-cell.ts";
import { readCells } from "../src/alert-history/history-store.ts";
import { readRules } from "../src/alert-rules/rule-store.ts";
import { listAlerts } from "../src/alerts/alert-store.ts";
import { listCounts } from "../src/behavior/event-count-store.ts";
import { listFullHours, visitPageViews } from "../src/behavior/page-view-store.ts";
import { getChange, listChanges } from "../src/catalog/event-type-store.ts";
import { findErased, listOrganizationsWithErasures } from "../src/erased-events/erased-events-store.ts";
import { EventHasher } from "../src/erased-events/event-hash.ts";
import { listBrokerTasks, listOpenTasks } from "../src/erasure/task-store.ts";
import { getEventsAt, listEventCursors } from "../src/event-storage/event-cursor-store.ts";
import {
  countEvents,
  EVENT_COLUMNS,
  type EventRow,
  listEvents,
  scanEvents,
} from "../src/event-storage/event-store.ts";
import { type ExportedTable, walkRows } from "../src/export/exported-rows-store.ts";
import { sections } from "../src/export/sections.ts";
import { hasMerged, mergedIdsOf, rootsOf } from "../src/identity-graph/links-store.ts";
import { collectKeys } from "../src/ingest/batch-context.ts";
import { loadBatchContext } from "../src/ingest/batch-context-store.ts";
import { createSubmission, type SubmittedEvent } from "../src/ingest/submission.ts";
import { findOwner, findOwners, listTrackedUsers } from "../src/profile-storage/identity-store.ts";
import {
  countProfiles,
  getProfile,
  getProfiles,
  listMerged,
  listProfiles,
  listShardProfileIds,
  listShardProfiles,
} from "../src/profile-storage/profile-store.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const DAY_MS = 86_400_000;
const organizationId = newOrganization();
let events: EventsUnderTest;
let database: Database;
let db: Database["reader"];
let profileId: ProfileId;

beforeAll(async () => {
  events = await EventsUnderTest.open("mysql");
  // A separate pool, on which no other test sends statements.
  database = await events.stored.openAnother();
  db = database.reader;
  for (const organization of [newOrganization(), organizationId, newOrganization()]) {
    const sent = Array.from({ length: 5000 }, (_, index) => ({
      identity: { case: "userId" as const, value: String(index % 500) },
      name: `n${index % 5}`,
      eventId: `e${index}`,
      ...(index % 10 > 0 && { timestamp: timestampFromMs((index % 30) * DAY_MS) }),
    }));
    const as = { organizationId: organization };
    const { results } = await events.call(EventService.method.batchRecordEvents, { events: sent }, as);
    const views = sent.map((event) => ({ ...event, name: "page.viewed", eventId: `v${event.eventId}` }));
    await events.call(EventService.method.batchRecordEvents, { events: views }, as);
    const properties = '{"amount":"101","time":1}';
    const withdrawals = sent
      .slice(0, 1000)
      .map(({ identity }) => ({ identity, name: "withdraw", properties }));
    await events.call(EventService.method.batchRecordEvents, { events: withdrawals }, as);
    const rule = {
      code: 1,
      name: "Large",
      kind: AlertRuleKind.THRESHOLD,
      eventName: "refund",
      property: "amount",
      threshold: "1",
    };
    await events.call(AlertService.method.createAlertRule, rule, as);
    for (let name = 0; name < 50; name += 1) {
      const type = { name: `type ${name}`, price: 1 };
      await events.call(EventTypeService.method.createEventType, type, as);
    }
    // From the end, so that the first user remains.
    for (let user = 480; user < 500; user += 1) {
      await events.call(ErasureService.method.eraseTrackedUser, { userId: String(user) }, as);
    }
    if (organization === organizationId) profileId = results[0]?.profileId as ProfileId;
  }
  await db.raw(
    "ANALYZE TABLE event_counts, page_view_hours, event_types, alerts, alert_history, alert_rules, alert_rule_sets",
  );
  await db.raw(
    "ANALYZE TABLE erased_events, organizations_with_erasures, erasures, erasure_tasks, outbox_messages",
  );
  await db.raw("ANALYZE TABLE profiles, profile_identities, tracked_events, undated_event_ids");
});
afterAll(() => events.close());

function submitted(change: Partial<SubmittedEvent>): SubmittedEvent {
  const id = randomIds.next<TrackedEventId>(1);
  const dated = {
    name: "n",
    properties: "{}",
    occurredMs: 1,
    receivedMs: 1,
    clientEventId: undefined,
  };
  const repeatedBy = change.clientEventId === undefined ? undefined : "id";
  return { identityKind: "user_id", identity: "7", ...dated, repeatedBy, id, bytes: 100, ...change };
}

const exportedEvents: ExportedTable<EventRow> = {
  name: "tracked_events",
  columns: EVENT_COLUMNS,
  order: ["occurred_ms", "event_id"],
};

async function drain(rows: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of rows);
}

test("hot queries use their indexes and sort nothing", async () => {
  const filter = {
    organizationId,
    profileId,
    names: [],
    fromMs: undefined,
    toMs: undefined,
    after: undefined,
  };
  const after = { occurredMs: 5 * DAY_MS, id: randomIds.next<TrackedEventId>(1) };
  const ids = [profileId, randomIds.next(1)].map(uuidToBytes);
  const lastPlace = { occurredMs: after.occurredMs, eventId: uuidToBytes(after.id) };
  const places = [profileId, randomIds.next<ProfileId>(1)].map((id) => ({ profileId: id, after: undefined }));
  const cursor = { profileId: uuidToBytes(profileId), occurredMs: 0, eventId: uuidToBytes(after.id) };
  const batch = [
    submitted({}),
    submitted({ identityKind: "anonymous_id" }),
    submitted({ identityKind: "profile_id", identity: profileId, clientEventId: "e1" }),
    submitted({ clientEventId: "e10", repeatedBy: "client_id" }),
  ];
  const submissions = [organizationId, newOrganization()].map((one) =>
    createSubmission(one, batch, { traceParent: "" }),
  );
  const alerts = { organizationId, profileIds: undefined, code: undefined, after: randomIds.next(2 ** 42) };
  const hasher = new EventHasher(randomBytes(32));
  const counted = { organizationId, budget: WorkBudget.inSlices({ clock: events.clock }) };
  const cells = new Set([...pathOf("0".repeat(16), 7n), NewestCell.idOf("0".repeat(16))]);
  const queries: Record<string, () => Promise<unknown>> = {
    "ingest: context of a batch": () =>
      loadBatchContext(db as unknown as Transaction, collectKeys(submissions), { withStoredEvents: true }),
    "ListEvents, first page": () => listEvents(db, filter, 51),
    "ListEvents, between instants, by name, next page": () =>
      listEvents(db, { ...filter, names: ["n1", "n2"], fromMs: 0, toMs: 9 * DAY_MS, after }, 51),
    "ingest: full hours of page views": () =>
      listFullHours(
        db,
        [0, 1, 2].map((hour) => ({ organizationId, profileId, day: 7, hour })),
      ),
    "GetTrackedUserSummary: page views of eight days": () =>
      visitPageViews(
        db,
        organizationId,
        [profileId],
        { fromMs: 0, toMs: 7 * DAY_MS },
        { visit: () => {}, budget: WorkBudget.inSlices({ clock: events.clock }) },
      ),
    "ListTrackedUserPoints: counts by name": () =>
      listCounts(db, {
        ...counted,
        profileIds: [profileId, randomIds.next<ProfileId>(1)],
        names: new Set(["n1", "n2"]),
      }),
    "ListTrackedUserPoints: counts by many names": () =>
      listCounts(db, {
        ...counted,
        profileIds: [profileId],
        names: new Set(Array.from({ length: 99 }, (_, n) => `n${n}`)),
      }),
    "ListTrackedUserPoints: users, next page": () => listTrackedUsers(db, organizationId, "7", 1000),
    "event catalog": () => listChanges(db, organizationId),
    "event type": () => getChange(db, organizationId, "type 7"),
    "export: events of a profile, every page": () =>
      drain(walkRows(db, exportedEvents, organizationId, profileId, 15)),
    ...Object.fromEntries(
      sections.map(({ table, records }) => [
        `export: ${table} of a profile`,
        () => drain(records(db, organizationId, profileId)),
      ]),
    ),
    "ingest: alert histories": () =>
      drain(
        readCells(
          db,
          [profileId, randomIds.next<ProfileId>(1)].map((id) => ({ organizationId, profileId: id, cells })),
        ),
      ),
    "alert rules": () => readRules(db, organizationId),
    "ListAlerts, next page": () => listAlerts(db, alerts, 51),
    "ListAlerts of a user, next page": () => listAlerts(db, { ...alerts, profileIds: [profileId] }, 51),
    "ListAlerts of a user and a code, next page": () =>
      listAlerts(db, { ...alerts, profileIds: [profileId], code: 1100 }, 51),
    "ListAlerts of a code, next page": () => listAlerts(db, { ...alerts, code: 30 }, 51),
    "events of several profiles: cursors": () =>
      listEventCursors(db, { organizationId, order: "desc", names: [] }, places, 51),
    "events of several profiles: cursors by name, between instants, next page": () =>
      listEventCursors(
        db,
        { organizationId, order: "desc", names: [Buffer.from("n1")], fromMs: 0, toMs: 9 * DAY_MS },
        places.map((one) => ({ ...one, after: lastPlace })),
        51,
      ),
    "events at cursors": () => getEventsAt(db, organizationId, [lastPlace, { ...lastPlace, occurredMs: 0 }]),
    "ingest: organizations with erasures": () =>
      listOrganizationsWithErasures(db, [organizationId, randomIds.next(1)]),
    "ingest: erased events": () =>
      findErased(db, organizationId, [hasher.undated(organizationId, "e490"), randomBytes(16)]),
    "erasures: tasks without a lease": () => listOpenTasks(db, 2 ** 45, 500),
    "erasures: tasks that wait for the broker": () => listBrokerTasks(db, 500),
    "erasures: messages about a profile": () =>
      findContaining(db, { shard: 3, from: 1, through: 2 }, [uuidToBytes(profileId)]),
    "ListProfiles, next page": () => listProfiles(db, organizationId, profileId, 51),
    GetProfile: () => getProfile(db, organizationId, profileId),
    "profiles by identity": () => findOwner(db, organizationId, { kind: "user_id", value: "7" }),
    "profiles by many identities": () => findOwners(db, organizationId, "user_id", ["7", "8", "9"]),
    "roots of profiles": () => rootsOf(db, organizationId, [profileId, randomIds.next(1)]),
    "merged profiles of a root": () => mergedIdsOf(db, organizationId, [profileId]),
    "merged profiles of roots": () => listMerged(db, organizationId, [profileId, randomIds.next(1)]),
    "existence of merges": () => hasMerged(db, organizationId),
    "count of profiles": () => countProfiles(db, organizationId),
    "profile ids of a shard": () =>
      listShardProfileIds(db, organizationId, { shard: 3, after: uuidToBytes(profileId), limit: 100 }),
    "scan: profiles of a shard, next page": () =>
      listShardProfiles(db, organizationId, 3, uuidToBytes(profileId), 201),
    "scan: profiles by id": () => getProfiles(db, organizationId, ids),
    "scan: events of profiles": () =>
      scanEvents(db, organizationId, { profileIds: ids }, [Buffer.from("n1")], 1000),
    "scan: events after one": () => scanEvents(db, organizationId, { after: cursor }, [], 1000),
    "scan: number of events": () => countEvents(db, organizationId, ids, 5001),
  };
  const lines: string[] = [];
  for (const [name, run] of Object.entries(queries)) {
    lines.push(name);
    const plans = await plansOf(database, run);
    expectIndexed(plans, name);
    for (const { table, key } of plans) if (!isDerived(table)) lines.push(`  ${table} by ${key}`);
  }
  // Other database servers can choose other plans; the prohibitions above apply there too.
  if (await isMariaDb(database)) await golden("events/hot-queries.txt", `${lines.join("\n")}\n`);
});
