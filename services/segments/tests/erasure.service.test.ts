// Erased profiles leave no row, announcement, dead letter or stored response, and the events service receives
// the report, whatever crashes in between.
import { toBinary } from "@bufbuild/protobuf";
import { EnvelopeSchema } from "@muster/contracts/muster/bus/v1/envelope_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, type ProfileId, shardOf, uuidToBytes } from "@muster/core";
import { AppError } from "@muster/errors";
import { insertDeadLetter } from "@muster/outbox/dead-letter-store";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { believe, heardFrom } from "./announced.ts";
import type { TestEvent } from "./events-stand-in.ts";
import { expectTruth, type House, membersOf, openHouse } from "./house.ts";

const VIEWERS = { name: "Viewers", eventName: "viewed", minCount: 1 };
const { ERASE } = MembershipOrigin;

describe.each(ENGINES)("erasure on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  function event(profileId: ProfileId, name = "viewed"): TestEvent {
    return { organizationId: house.organizationId, profileId, name, ms: house.clock.nowMs() };
  }

  /** Tables and columns that contain the id in any form. The exit announcements contain it too. */
  async function tracesOf(profileId: ProfileId): Promise<string[]> {
    const found: string[] = [];
    const db = house.database.reader;
    const needles = [uuidToBytes(profileId), Buffer.from(profileId)];
    for (const table of await tablesOf()) {
      const rows: Record<string, unknown>[] = await db(table).select("*");
      for (const row of rows) {
        for (const [column, value] of Object.entries(row)) {
          const bytes = Buffer.isBuffer(value) ? value : Buffer.from(String(value));
          if (needles.some((needle) => bytes.includes(needle))) found.push(`${table}.${column}`);
        }
      }
    }
    return found;
  }

  async function tablesOf(): Promise<string[]> {
    const db = house.database.reader;
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
        await house.clock.advance(300);
        const left = await house.database.reader("erasure_reports").select("shard");
        return left.length === 0 && house.events.erasureReports.length >= count;
      },
      { timeoutMs: 20_000 },
    );

  test("erasing merged profiles removes all copies, publishes an exit, and reports each profile", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await house.segments.createSegment({ ...VIEWERS, name: "Gone", eventName: "x" });
    await expectTruth(house, "viewers");
    const { organizationId } = house;
    const [ada, device, other] = [house.newProfile(), house.newProfile(), house.newProfile()];
    await house.events.submit([event(ada), event(ada, "cart.added"), event(device), event(other)]);
    await house.events.submit([event(ada, "order.completed"), event(other, "x")]);
    await expectTruth(house, "abandoned-cart");
    await house.events.merge(organizationId, device, ada);
    await expectTruth(house, "viewers");
    await house.segments.deleteSegment({ segmentId: "gone" });
    const keyed = house.first.as(organizationId, { "idempotency-key": "who" });
    const checks = [ada, other].map((id) => ({
      segment: "viewers",
      profile: { case: "profileId" as const, value: id },
    }));
    await keyed.batchCheckMemberships({ checks });
    await letter(shardOf(organizationId, other), ada, true);
    await letter(3, device, false);

    const { erasureId, profileIds } = await house.events.erase(organizationId, device);
    expect(profileIds.sort()).toEqual([ada, device].sort());
    expect(await membersOf(house.segments, "viewers")).toEqual([other]);
    await expectTruth(house, "viewers");
    await untilReported(2);
    const heard = (await heardFrom(house.database)).filter(({ profileId }) => profileId !== other);
    expect(heard.map(({ profileId, member, change }) => [profileId, member, change.origin])).toEqual([
      [ada, false, ERASE],
    ]);
    const traces = [...(await tracesOf(ada)), ...(await tracesOf(device))];
    expect(traces).toEqual(["outbox_messages.data"]);

    const reports = house.events.erasureReports;
    expect(reports.map((report) => bytesToUuid(report.erasureId))).toEqual([erasureId, erasureId]);
    const placesOf = (id: ProfileId) => {
      const report = reports.find((one) => bytesToUuid(one.profileId) === id);
      return Object.fromEntries((report?.places ?? []).map(({ place, count }) => [place, Number(count)]));
    };
    expect(placesOf(ada)).toMatchObject({
      "segments.profile_states": 1,
      "segments.memberships": 2,
      "segments.dead_letters": 1,
      "segments.idempotency_answers": 1,
      "segments.stream": 1,
    });
    expect(placesOf(ada)["segments.outbox_messages"]).toBeGreaterThan(1);
    expect(placesOf(device)).toMatchObject({ "segments.memberships": 0, "segments.dead_letters": 1 });
    expect((await house.segments.batchCheckMemberships({ checks })).results).toMatchObject([
      { member: false, error: {} },
      { member: true },
    ]);
  });

  /** Adds a dead letter about the profile, with or without a decodable message. */
  async function letter(shard: number, profileId: ProfileId, isReadable: boolean): Promise<void> {
    if (isReadable) await house.events.submit([event(profileId)]);
    const own = shardOf(house.organizationId, profileId);
    const position = (await house.events.outbox.positions())[own] ?? 0;
    const [envelope] = isReadable ? await house.events.outbox.read(own, position - 1, 1) : [];
    const raw = envelope === undefined ? uuidToBytes(profileId) : toBinary(EnvelopeSchema, envelope);
    await house.database.transaction((trx) =>
      insertDeadLetter(trx, {
        ...{ id: house.newProfile(), consumer: "segments", source: "events", shard, position, raw },
        ...{ type: "t", error: "e", attempts: 1, deadMs: 0 },
        ...{ replayRequestedMs: undefined, replayedMs: undefined },
      }),
    );
  }

  test("a watch resumes inside a message after an erased entry", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const { organizationId } = house;
    const profiles: ProfileId[] = [];
    while (profiles.length < 700) {
      const id = house.newProfile();
      if (shardOf(organizationId, id) === 5) profiles.push(id);
    }
    const watch = async (resumeToken: string, until: number) => {
      const told: string[] = [];
      const signal = AbortSignal.timeout(15_000);
      let token = resumeToken;
      for await (const answer of house.segments.watchSegment(
        { segmentId: "viewers", resumeToken },
        { signal },
      )) {
        token = answer.resumeToken;
        if (answer.kind.case === "changes") {
          told.push(...answer.kind.value.changes.map(({ profileId }) => profileId));
        }
        if (told.length >= until) break;
      }
      return { told, token };
    };
    const { token: begun } = await watch("", 0);
    await house.events.submit(profiles.map((id) => event(id)));
    await expectTruth(house, "viewers");
    const first = await watch(begun, 1);
    expect(first.told.length).toBeLessThan(profiles.length);
    const [erased = house.newProfile()] = first.told as ProfileId[];
    await house.events.erase(organizationId, erased);
    await untilReported(1);
    const rest = await watch(first.token, profiles.length - first.told.length);
    expect([...first.told, ...rest.told].slice(0, 700).sort()).toEqual([...profiles].sort());
  }, 30_000);

  test("the report is retried until it is acknowledged; new activity belongs to a new profile", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(VIEWERS);
    await expectTruth(house, "viewers");
    const { organizationId } = house;
    const profiles = Array.from({ length: 30 }, () => house.newProfile());
    await house.events.submit(profiles.flatMap((id) => [event(id), event(id)]));
    await expectTruth(house, "viewers");
    let refusals = 3;
    house.events.beforeErasureReport = async () => {
      refusals -= 1;
      if (refusals >= 0) throw new AppError("UNAVAILABLE");
    };
    const again = house.newProfile();
    await Promise.all([
      ...profiles.map((id) => house.events.erase(organizationId, id)),
      house.events.submit([event(again)]),
    ]);
    await untilReported(profiles.length);
    expect(await membersOf(house.segments, "viewers")).toEqual([again]);
    expect([
      ...believe((await heardFrom(house.database)).filter(({ profileId }) => profileId === again)),
    ]).toEqual([again]);
    const counts: { members: number }[] = await house.database.reader("segment_counts").select("members");
    expect(counts.reduce((sum, { members }) => sum + members, 0)).toBe(1);
    const states = await house.database.reader("profile_states").select("profile_id");
    expect(states).toHaveLength(1);
  });

  test("an erasure without a running replica is applied by the next replica", async () => {
    house = await openHouse(engine);
    const { organizationId } = house;
    const ada = house.newProfile();
    await house.events.submit([event(ada, "cart.added")]);
    expect(await membersOf(house.segments, "abandoned-cart")).toEqual([ada]);
    await house.first.stop();
    await house.events.erase(organizationId, ada);
    const second = await house.start("second");
    house = { ...house, first: second, segments: second.as(organizationId) };
    await untilReported(1);
    expect(await membersOf(house.segments, "abandoned-cart")).toEqual([]);
  });
});
