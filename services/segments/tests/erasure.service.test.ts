// Erased profiles leave no row, announcement, dead letter or stored response, and the events service receives
// the report, whatever crashes in between.
import { toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { insertDeadLetter } from "@muster/outbox/testing";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { readAnnouncements, replayMembership } from "./announcements.ts";
import type { TestEvent } from "./fake-events-service.ts";
import { expectExactMembers, membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const VIEWERS = { name: "Viewers", eventName: "viewed", minCount: 1 };
const { ERASE } = MembershipOrigin;

describe.each(ENGINES)("erasure on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  function event(profileId: ProfileId, name = "viewed"): TestEvent {
    return { organizationId: harness.organizationId, profileId, name, ms: harness.clock.nowMs() };
  }

  /** Tables and columns that contain the id in any form. The exit announcements contain it too. */
  async function columnsWith(profileId: ProfileId): Promise<string[]> {
    const found: string[] = [];
    const db = harness.database.reader;
    const idForms = [uuidToBytes(profileId), Buffer.from(profileId)];
    for (const table of await listTables()) {
      const rows: Record<string, unknown>[] = await db(table).select("*");
      for (const row of rows) {
        for (const [column, value] of Object.entries(row)) {
          const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
          if (idForms.some((idForm) => bytes.includes(idForm))) found.push(`${table}.${column}`);
        }
      }
    }
    return found;
  }

  async function listTables(): Promise<string[]> {
    const db = harness.database.reader;
    if (engine === "sqlite") {
      const rows: { name: string }[] = await db("sqlite_master").select("name").where("type", "table");
      return rows.map(({ name }) => name).filter((name) => !name.startsWith("sqlite_"));
    }
    const [rows] = await db.raw("show tables");
    return (rows as object[]).map((row) => String(Object.values(row)[0]));
  }

  const untilReported = (count: number) =>
    waitFor(
      async () => {
        await harness.clock.advance(300);
        const left = await harness.database.reader("erasure_reports").select("shard");
        return left.length === 0 && harness.events.erasureReports.length >= count;
      },
      { timeoutMs: 20_000 },
    );

  test("erasing merged profiles removes all copies, publishes an exit, and reports each profile", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await harness.segments.createSegment({ ...VIEWERS, name: "Gone", eventName: "x" });
    await expectExactMembers(harness, "viewers");
    const { organizationId } = harness;
    const [ada, device, other] = [harness.newProfile(), harness.newProfile(), harness.newProfile()];
    await harness.events.submit([event(ada), event(ada, "cart.added"), event(device), event(other)]);
    // Applied before the order arrives, so that a row of the exited membership is left.
    await expectExactMembers(harness, "abandoned-cart");
    await harness.events.submit([event(ada, "order.completed"), event(other, "x")]);
    await expectExactMembers(harness, "abandoned-cart");
    await harness.events.merge(organizationId, device, ada);
    await expectExactMembers(harness, "viewers");
    await harness.segments.deleteSegment({ segmentId: "gone" });
    const keyed = harness.first.as(organizationId, { "idempotency-key": "who" });
    const checks = [ada, other].map((id) => ({
      segment: "viewers",
      profile: { case: "profileId" as const, value: id },
    }));
    await keyed.batchCheckMemberships({ checks });
    await addDeadLetter(shardOf(organizationId, other), ada, true);
    await addDeadLetter(3, device, false);

    const { erasureId, profileIds } = await harness.events.erase(organizationId, device);
    expect(profileIds.sort()).toEqual([ada, device].sort());
    expect(await membersOf(harness.segments, "viewers")).toEqual([other]);
    await expectExactMembers(harness, "viewers");
    await untilReported(2);
    const announced = (await readAnnouncements(harness.database)).filter(
      ({ profileId }) => profileId !== other,
    );
    expect(announced.map(({ profileId, member, change }) => [profileId, member, change.origin])).toEqual([
      [ada, false, ERASE],
    ]);
    const traces = [...(await columnsWith(ada)), ...(await columnsWith(device))];
    expect(traces).toEqual(["outbox_messages.data"]);

    const reports = harness.events.erasureReports;
    expect(reports.map((report) => bytesToUuid(report.erasureId))).toEqual([erasureId, erasureId]);
    const placesOf = (id: ProfileId) => {
      const report = reports.find((one) => bytesToUuid(one.profileId) === id);
      return Object.fromEntries(
        (report?.locations ?? []).map(({ location, count }) => [location, Number(count)]),
      );
    };
    expect(placesOf(ada)).toMatchObject({
      "segments.profile_states": 1,
      "segments.memberships": 2,
      "segments.dead_letters": 1,
      "segments.idempotency_responses": 1,
      "segments.stream": 1,
    });
    expect(placesOf(ada)["segments.outbox_messages"]).toBeGreaterThan(1);
    expect(placesOf(device)).toMatchObject({ "segments.memberships": 0, "segments.dead_letters": 1 });
    expect((await harness.segments.batchCheckMemberships({ checks })).results).toMatchObject([
      { member: false, error: {} },
      { member: true },
    ]);
  });

  /** Adds a dead letter about the profile, with or without a decodable message. */
  async function addDeadLetter(shard: number, profileId: ProfileId, isReadable: boolean): Promise<void> {
    if (isReadable) await harness.events.submit([event(profileId)]);
    const own = shardOf(harness.organizationId, profileId);
    const position = (await harness.events.outbox.positions())[own] ?? 0;
    const [envelope] = isReadable ? await harness.events.outbox.read(own, position - 1, 1) : [];
    const raw = envelope === undefined ? uuidToBytes(profileId) : toBinary(EnvelopeSchema, envelope);
    await harness.database.transaction((trx) =>
      insertDeadLetter(trx, {
        id: harness.newProfile(),
        consumer: "segments",
        source: "events",
        shard,
        position,
        raw,
        type: "t",
        error: "e",
        attempts: 1,
        deadMs: 0,
        replayRequestedMs: undefined,
        replayedMs: undefined,
      }),
    );
  }

  test("a watch resumes inside a message after an erased entry", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const { organizationId } = harness;
    const profiles: ProfileId[] = [];
    while (profiles.length < 700) {
      const id = harness.newProfile();
      if (shardOf(organizationId, id) === 5) profiles.push(id);
    }
    const watch = async (resumeToken: string, until: number) => {
      const received: string[] = [];
      const signal = AbortSignal.timeout(15_000);
      let token = resumeToken;
      for await (const answer of harness.segments.watchSegment(
        { segmentId: "viewers", resumeToken },
        { signal },
      )) {
        token = answer.resumeToken;
        if (answer.kind.case === "changes") {
          received.push(...answer.kind.value.changes.map(({ profileId }) => profileId));
        }
        if (received.length >= until) break;
      }
      return { received, token };
    };
    const { token: begun } = await watch("", 0);
    await harness.events.submit(profiles.map((id) => event(id)));
    await expectExactMembers(harness, "viewers");
    const first = await watch(begun, 1);
    expect(first.received.length).toBeLessThan(profiles.length);
    const [erased = harness.newProfile()] = first.received as ProfileId[];
    await harness.events.erase(organizationId, erased);
    await untilReported(1);
    const rest = await watch(first.token, profiles.length - first.received.length);
    expect([...first.received, ...rest.received].slice(0, 700).sort()).toEqual([...profiles].sort());
  }, 30_000);

  test("the report is retried until it is acknowledged; new activity belongs to a new profile", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(VIEWERS);
    await expectExactMembers(harness, "viewers");
    const { organizationId } = harness;
    const profiles = Array.from({ length: 30 }, () => harness.newProfile());
    await harness.events.submit(profiles.flatMap((id) => [event(id), event(id)]));
    await expectExactMembers(harness, "viewers");
    let refusals = 3;
    harness.events.beforeErasureReport = async () => {
      refusals -= 1;
      if (refusals >= 0) throw new AppError("UNAVAILABLE");
    };
    const again = harness.newProfile();
    await Promise.all([
      ...profiles.map((id) => harness.events.erase(organizationId, id)),
      harness.events.submit([event(again)]),
    ]);
    await untilReported(profiles.length);
    expect(await membersOf(harness.segments, "viewers")).toEqual([again]);
    expect([
      ...replayMembership(
        (await readAnnouncements(harness.database)).filter(({ profileId }) => profileId === again),
      ),
    ]).toEqual([again]);
    const counts: { members: number }[] = await harness.database.reader("segment_counts").select("members");
    expect(counts.reduce((sum, { members }) => sum + members, 0)).toBe(1);
    const states = await harness.database.reader("profile_states").select("profile_id");
    expect(states).toHaveLength(1);
  });

  test("an erasure without a running replica is applied by the next replica", async () => {
    harness = await openHarness(engine);
    const { organizationId } = harness;
    const ada = harness.newProfile();
    await harness.events.submit([event(ada, "cart.added")]);
    expect(await membersOf(harness.segments, "abandoned-cart")).toEqual([ada]);
    await harness.first.stop();
    await harness.events.erase(organizationId, ada);
    const second = await harness.start("second");
    harness = { ...harness, first: second, segments: second.as(organizationId) };
    await untilReported(1);
    expect(await membersOf(harness.segments, "abandoned-cart")).toEqual([]);
  });
});
