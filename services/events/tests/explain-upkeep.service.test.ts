// Tests the execution plans of background statements in MariaDB, deletes included, because a delete that
// scans a table locks the whole table. The golden file shows changed queries and indexes.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { bytesToUuid, type ProfileId, randomIds, SHARD_COUNT } from "@muster/core";
import type { Transaction } from "@muster/db";
import { addSubjects, claimsAbout, removeSubjects } from "@muster/idempotency/testing";
import { golden } from "@muster/testkit";
import { expectIndexed, isMariaDb, plansOfChanges } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { deleteHistory, keyOfCell, listHistory } from "../src/alert-history/history-store.ts";
import { deleteAlertsBefore } from "../src/alerts/alert-store.ts";
import { deleteViewsOfDay, firstDayWithViews } from "../src/behavior/page-view-store.ts";
import { eraseEvents } from "../src/erased-events/erase-events.ts";
import { findErased, listOrganizationsWithErasures } from "../src/erased-events/erased-events-store.ts";
import { EventHasher } from "../src/erased-events/event-hash.ts";
import { getErasure, listErasures } from "../src/erasure/erasure-store.ts";
import { deleteStep, PROFILE_TABLES } from "../src/erasure/profile-tables-store.ts";
import { listBrokerTasks, listOpenTasks } from "../src/erasure/task-store.ts";
import {
  deleteEventsOfDay,
  deleteUndatedIds,
  type EventAge,
  listAgingEvents,
  nextDayWithEvents,
} from "../src/event-storage/event-deletion-store.ts";
import { raiseUpdateTime, updateLink, updateRoots } from "../src/identity-graph/links-store.ts";
import { deleteProfiles, listShardProfileIds } from "../src/profile-storage/profile-store.ts";
import {
  findDueRetention,
  holdsPass,
  raiseCompleteSince,
  readCompleteSince,
  readOldestOfDay,
  saveOldestOfDay,
} from "../src/retention/retention-store.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const DAY_MS = 86_400_000;
const DAYS = 30;
/** The maximum number of rows in a batch. */
const BATCH = 250;
const organizationId = newOrganization();
let events: EventsUnderTest;
let profileId: ProfileId;
let profileIds: ProfileId[];
let aging: EventAge[];
const claim = { token: randomIds.next(1), scope: "everybody", key: "key" };

/** As many profiles as a person can have. */
async function listShardProfileIdsOf(organization: typeof organizationId): Promise<ProfileId[]> {
  const ids: ProfileId[] = [];
  for (let shard = 0; shard < SHARD_COUNT; shard += 1) {
    const own = await listShardProfileIds(events.database.reader, organization, { shard, limit: 10_000 });
    ids.push(...own.map((id) => bytesToUuid<ProfileId>(id)));
  }
  return ids;
}

beforeAll(async () => {
  events = await EventsUnderTest.open("mysql");
  for (const organization of [newOrganization(), organizationId, newOrganization()]) {
    const as = { organizationId: organization };
    for (const name of ["viewed", "page.viewed", "withdraw"]) {
      const sent = Array.from({ length: 5000 }, (_, index) => ({
        identity: { case: "userId" as const, value: String(index % 500) },
        name,
        eventId: `${name} ${index}`,
        properties: '{"name":"Home","amount":"500","time":1}',
        ...(index % 2 > 0 && { timestamp: timestampFromMs((index % DAYS) * DAY_MS) }),
      }));
      const { results } = await events.call(EventService.method.batchRecordEvents, { events: sent }, as);
      if (organization === organizationId) profileId = results[0]?.profileId as ProfileId;
    }
    await events.call(RetentionService.method.updateRetention, { retention: { rawEventDays: 3650 } }, as);
  }
  const { reader } = events.database;
  profileIds = await listShardProfileIdsOf(organizationId);
  await events.database.transaction(async (trx) => {
    for (let index = 0; index < 200; index += 1) {
      const own = { ...claim, token: randomIds.next(1), key: `key ${index}` };
      await addSubjects(trx, own, [profileId, randomIds.next(1)], 1);
    }
  });
  for (const table of (await reader.raw("SHOW TABLES"))[0] as unknown as Record<string, string>[]) {
    await reader.raw(`ANALYZE TABLE ${Object.values(table)[0]}`);
  }
  const day = Math.floor(events.clock.nowMs() / DAY_MS);
  aging = await listAgingEvents(reader, organizationId, { day, after: undefined, horizonMs: 0 }, BATCH);
});
afterAll(() => events.close());

test("statements that find and delete rows use keys", async () => {
  const day = Math.floor(events.clock.nowMs() / DAY_MS);
  const horizonMs = events.clock.nowMs() + DAY_MS;
  const cells = await listHistory(events.database.reader, organizationId, undefined, 100);
  const [cell] = cells;
  if (cell === undefined) throw new Error("no history of alerts");
  const erasure = { organizationId, id: randomIds.next(1) };
  const hasher = new EventHasher(new Uint8Array(32));
  const hashes = Array.from({ length: 10 }, (_, index) => Buffer.alloc(32, index));
  const queries: Record<string, (trx: Transaction) => Promise<unknown>> = {
    "retention: next due organization": (trx) => findDueRetention(trx, undefined, horizonMs),
    "retention: lease of a pass": (trx) => holdsPass(trx, { organizationId, nextPassMs: 1 }),
    "retention: next day with events": (trx) => nextDayWithEvents(trx, organizationId, 3),
    "retention: oldest event of a day": (trx) => readOldestOfDay(trx, organizationId, 3),
    "retention: day without remaining events": (trx) => saveOldestOfDay(trx, organizationId, 3, undefined),
    "retention: events of a day": (trx) =>
      listAgingEvents(trx, organizationId, { day, after: aging[0]?.event_id, horizonMs }, BATCH),
    "retention: events of the horizon's day": (trx) =>
      listAgingEvents(
        trx,
        organizationId,
        { day, after: aging[0]?.event_id, horizonMs: horizonMs - DAY_MS },
        BATCH,
      ),
    "retention: raise complete_since": (trx) =>
      raiseCompleteSince(trx, organizationId, { rawEventDays: 3650, ms: 1 }),
    "retention: delete events": async (trx) => {
      const ids = aging.map(({ event_id }) => event_id);
      const clientIds = aging.flatMap(({ client_event_id }) => client_event_id ?? []);
      await deleteUndatedIds(trx, organizationId, clientIds, ids);
      await deleteEventsOfDay(trx, organizationId, day, ids);
    },
    "retention: first day of page views": (trx) => firstDayWithViews(trx, organizationId),
    "retention: delete page views": (trx) => deleteViewsOfDay(trx, organizationId, 1, BATCH),
    "retention: delete alerts": (trx) => deleteAlertsBefore(trx, organizationId, horizonMs, BATCH),
    "retention: alert history": (trx) => listHistory(trx, organizationId, keyOfCell(cell), 100),
    "retention: delete alert history": (trx) => deleteHistory(trx, organizationId, [cell], horizonMs),
    "scan: read complete_since": (trx) => readCompleteSince(trx, organizationId),
    "erasure: delete events": (trx) => eraseEvents(trx, hasher, { organizationId, profileId }, BATCH),
    "erasure: delete profiles": (trx) => deleteProfiles(trx, organizationId, [profileId]),
    "erasure: open tasks": (trx) => listOpenTasks(trx, horizonMs, 10),
    "erasure: tasks at the broker": (trx) => listBrokerTasks(trx, 10),
    "ingest: organizations with erasures": (trx) => listOrganizationsWithErasures(trx, [organizationId]),
    "ingest: erased events": (trx) => findErased(trx, organizationId, hashes),
    "ListErasures, next page": (trx) => listErasures(trx, organizationId, erasure.id, 51),
    "erasure: stored responses about profiles": (trx) =>
      claimsAbout(trx, [profileId, randomIds.next(1)], 100),
    "erasure: delete subjects of a response": (trx) => removeSubjects(trx, [profileId], claim),
    "merge: update a link": (trx) => updateLink(trx, organizationId, profileId, undefined),
    "merge: update root profiles": (trx) => updateRoots(trx, organizationId, profileIds, profileId),
    "merge: raise the update time": (trx) => raiseUpdateTime(trx, organizationId, profileId, 1),
    GetErasure: (trx) => getErasure(trx, erasure),
  };
  // For an empty table the choice of the plan is arbitrary.
  for (const rows of PROFILE_TABLES.filter(({ table }) => table !== "profile_merges")) {
    queries[`erasure: ${rows.table} by ${rows.column}`] = (trx) =>
      deleteStep(trx, rows, organizationId, profileId);
  }
  const lines: string[] = [];
  for (const [name, run] of Object.entries(queries)) {
    lines.push(name);
    const plans = await plansOfChanges(events.database, run);
    expectIndexed(plans, name, { maySort: true });
    for (const { table, key } of plans)
      lines.push(table === null ? "  by one lookup" : `  ${table} by ${key}`);
  }
  // Other database servers can choose other plans.
  if (await isMariaDb(events.database)) {
    await golden("events/upkeep-queries.txt", `${[...dedupe(lines)].join("\n")}\n`);
  }
});

/** Omits repeated plans of a query. */
function* dedupe(lines: readonly string[]): Generator<string> {
  let seen = new Set<string>();
  for (const line of lines) {
    if (!line.startsWith(" ")) seen = new Set();
    if (!seen.has(line)) yield line;
    seen.add(line);
  }
}
