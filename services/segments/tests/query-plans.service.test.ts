// Checks the plans of hot queries on MariaDB: every query uses a key. Row estimates are left out.

import {
  ALL_SHARDS,
  type OrganizationId,
  type ProfileId,
  randomIds,
  type SegmentId,
  shardOf,
} from "@muster/core";
import type { Database, Queryable } from "@muster/db";
import { golden, openTestDatabase, type TestDatabase } from "@muster/testkit";
import { expectIndexed, isMariaDb, type Plan, plansOf } from "@muster/testkit/plans";
import { afterAll, beforeAll, test } from "vitest";
import { emptyState } from "../src/engine/state/profile-state.ts";
import { listErasures } from "../src/erasure/erasure-store.ts";
import {
  findMembers,
  listMembers,
  listMembershipRows,
  listStoredMemberships,
  saveMemberships,
} from "../src/memberships/membership-store.ts";
import { findSweepable, readCounts } from "../src/memberships/segment-count-store.ts";
import { segmentsModule } from "../src/module.ts";
import { readRawEventDays, readVersions } from "../src/organizations/organization-store.ts";
import { provisionOrganization } from "../src/organizations/provision-organization.ts";
import { compareProfileKeys, NO_PROFILE } from "../src/profiles/profile-key.ts";
import {
  addProfileRebuilds,
  hasProfileRebuilds,
  listProfileRebuilds,
  readRebuildReasons,
} from "../src/profiles/rebuild-store.ts";
import {
  hasDueProfiles,
  listDueProfiles,
  listStateIds,
  listStates,
  loadStates,
  readNextDueTimes,
  saveStates,
} from "../src/profiles/state-store.ts";
import { readPendingWork } from "../src/projection/pending-work-store.ts";
import {
  addBackfills,
  listBackfillsOfEvaluations,
  listBackfillsOfShards,
  listOldestBackfills,
  nextOrganizationToBackfill,
} from "../src/rebuild/backfill-store.ts";
import { readFactHorizons, saveFactHorizons } from "../src/rebuild/fact-horizon-store.ts";
import { isProfilePending } from "../src/rebuild/profile-pending.ts";
import { addPurges, listPurges, listPurgesOf, listRuleSwitches } from "../src/rule-versions/purge-store.ts";
import { firstEvaluationId } from "../src/segment-model/segment.ts";
import {
  findSegmentBySlug,
  listEvaluationIds,
  listSegmentsByEvaluations,
  listSegmentsByIds,
  listSegmentsBySlugs,
  listSegmentsOf,
  listSegmentsPage,
  listSwitchingSegments,
} from "../src/segment-model/segment-store.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const organizations = Array.from({ length: 200 }, (_, index) =>
  randomIds.next<OrganizationId>(NOW_MS + index),
);
const segmentIds = Array.from({ length: 6 }, (_, index) => randomIds.next<SegmentId>(NOW_MS + index));
const [organizationId = "" as OrganizationId] = organizations;
const [segmentId = "" as SegmentId] = segmentIds;
/** The first evaluation of each segment. */
const evaluationIds = segmentIds.map(firstEvaluationId);
const evaluationId = firstEvaluationId(segmentId);
const keys = organizations
  .flatMap((organization, index) =>
    Array.from({ length: index === 0 ? 12_000 : 10 }, () => {
      const profileId = randomIds.next<ProfileId>(NOW_MS);
      return { organizationId: organization, profileId, shard: shardOf(organization, profileId) };
    }),
  )
  .sort(compareProfileKeys);
const factKeys = Array.from({ length: 500 }, (_, index) => `fact ${index}`);
const ours = keys.filter((key) => key.organizationId === organizationId);
const { profileId, shard } = ours[0] ?? { profileId: NO_PROFILE, shard: 0 };

const QUERIES: Readonly<Record<string, (db: Queryable) => Promise<unknown>>> = {
  "apply: versions of definitions": (db) => readVersions(db, organizations.slice(0, 3)),
  "apply: definitions": (db) => listSegmentsOf(db, [organizationId]),
  "apply: states": (db) => loadStates(db, ours.slice(0, 500)),
  "timers: due profiles": (db) => listDueProfiles(db, shard, NOW_MS, 500),
  "timers: next due times": (db) => readNextDueTimes(db, ALL_SHARDS),
  "backfill: next organization": (db) => nextOrganizationToBackfill(db, ALL_SHARDS, organizationId),
  "backfill: shards": (db) => listOldestBackfills(db, organizationId, ALL_SHARDS),
  "backfill: of an organization": (db) => listBackfillsOfShards(db, organizationId, ALL_SHARDS),
  "rebuild: marked profiles after a profile": (db) =>
    listProfileRebuilds(db, organizationId, ALL_SHARDS, { shard, profileId }, 200),
  "rebuild: marked profiles": (db) => listProfileRebuilds(db, organizationId, ALL_SHARDS, undefined, 200),
  "rebuild: reasons of marked profiles": (db) =>
    readRebuildReasons(
      db,
      organizationId,
      shard,
      ours.slice(0, 50).map((key) => key.profileId),
    ),
  "rebuild: profiles with a state": (db) => listStateIds(db, organizationId, shard, NO_PROFILE, profileId),
  "erasure: evaluations of stored rows": (db) => listEvaluationIds(db, organizationId, shard),
  "erasure: next": (db) => listErasures(db, ALL_SHARDS, 100),
  "export: memberships of a profile": (db) =>
    listStoredMemberships(db, organizationId, profileId, evaluationIds),
  "retention: days of raw events": (db) => readRawEventDays(db, organizationId),
  "read: facts first counted after retention": (db) =>
    readFactHorizons(db, organizationId, factKeys.slice(0, 3)),
  "purge: next": (db) => listPurges(db, ALL_SHARDS, 200),
  "rule switch: unfinished shards": (db) => listPurgesOf(db, organizationId, evaluationId),
  "rule switch: switches of a shard": (db) => listRuleSwitches(db, organizationId, shard),
  "rule switch: switching segments": (db) => listSwitchingSegments(db, organizationId),
  "purge: states": (db) => listStates(db, organizationId, shard, NO_PROFILE, 250),
  "idle: pending work": (db) => readPendingWork(db, ALL_SHARDS),
  "sweep: next segment": (db) => findSweepable(db, ALL_SHARDS),
  "sweep: rows": (db) => listMembershipRows(db, { organizationId, evaluationId }, profileId, 1000),
  "read: due profiles": (db) => hasDueProfiles(db, organizationId, ALL_SHARDS, NOW_MS),
  "read: backfills": (db) => listBackfillsOfEvaluations(db, organizationId, [evaluationId]),
  "read: rebuilds": (db) => hasProfileRebuilds(db, organizationId),
  "read: a profile's backfills": (db) => isProfilePending(db, organizationId, shard, profileId),
  "read: a profile's state": (db) => loadStates(db, ours.slice(0, 1)),
  "read: members page": (db) => listMembers(db, organizationId, evaluationId, profileId, 51),
  "read: members among many": (db) =>
    findMembers(
      db,
      organizationId,
      evaluationId,
      ours.slice(0, 500).map((key) => key.profileId),
    ),
  "read: counts": (db) => readCounts(db, organizationId, evaluationIds),
  "read: segment by slug": (db) => findSegmentBySlug(db, organizationId, "abandoned-cart"),
  "read: segments by slugs": (db) => listSegmentsBySlugs(db, organizationId, ["abandoned-cart", "viewers"]),
  "read: segments page": (db) => listSegmentsPage(db, organizationId, segmentId, 51),
  "read: segments by evaluation": (db) =>
    listSegmentsByEvaluations(db, organizationId, evaluationIds, segmentId, 51),
  "read: segments by id": (db) => listSegmentsByIds(db, organizationId, segmentIds, segmentId, 51),
};

/** Queries that sort few rows: one for each shard of an organization, or of a segment that is purged. */
const SORTING = new Set(["backfill: of an organization", "purge: next"]);

let opened: TestDatabase;
let database: Database;

beforeAll(async () => {
  opened = await openTestDatabase("mysql", segmentsModule.migrations);
  database = opened.database;
  await database.transaction(async (trx) => {
    for (const id of organizations) {
      await provisionOrganization(trx, id, NOW_MS);
      await addBackfills(trx, id, evaluationId, ALL_SHARDS);
      await addPurges(trx, id, evaluationId);
    }
    for (const id of organizations.slice(0, 10)) await saveFactHorizons(trx, id, factKeys, NOW_MS);
    const few = new Set(ours.slice(0, 200));
    const marked = keys.filter((key) => key.organizationId !== organizationId || few.has(key));
    await addProfileRebuilds(trx, marked);
    const states = keys.map((key, index) => ({
      ...key,
      state: emptyState(),
      nextDueMs: index % 4 === 0 ? undefined : NOW_MS + (index % 100) * 1000 - 1000,
    }));
    await saveStates(trx, states);
    const changes = keys.flatMap((key) =>
      evaluationIds
        .slice(0, 2)
        .map((id) => ({ ...key, evaluationId: id, member: true, enteredMs: NOW_MS, changedMs: NOW_MS })),
    );
    await saveMemberships(trx, changes);
  });
  for (const table of [
    "organizations",
    "segment_purges",
    "profile_states",
    "memberships",
    "segment_counts",
    "segments",
    "segment_backfills",
    "fact_horizons",
    "profile_rebuilds",
  ]) {
    await database.reader.raw(`ANALYZE TABLE ${table}`);
  }
});
afterAll(() => opened.close());

test("hot queries use their keys and sort nothing", async () => {
  const texts: string[] = [];
  for (const [name, run] of Object.entries(QUERIES)) {
    const plans = await plansOf(database, run);
    expectIndexed(plans, name, { maySort: SORTING.has(name) });
    texts.push(`${name}\n${[...new Set(plans.map(lineOf))].join("\n")}\n`);
  }
  // Other database servers can choose other plans; the prohibitions above apply there too.
  if (await isMariaDb(database)) await golden("segments/explain.txt", texts.join("\n"));
});

function lineOf({ table, type, key, Extra }: Plan): string {
  const sorted = Extra?.includes("filesort") ? " filesort" : "";
  return table === null ? "  by one lookup" : `  table=${table} type=${type} key=${key}${sorted}`;
}
