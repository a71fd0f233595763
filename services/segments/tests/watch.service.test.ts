// Tests WatchSegment: the members, then every change exactly once, resumable after any response.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CreateSegmentRequestSchema } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { WatchSegmentResponse } from "@muster/contracts/muster/segments/v1/segment_watch_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { believe } from "./announced.ts";
import { expectTruth, type House, membersOf, openHouse, type SegmentsClient } from "./house.ts";

const MINUTE_MS = 60_000;
/** Matches events of the last minute. */
const LATELY: MessageInitShape<typeof CreateSegmentRequestSchema> = {
  name: "Lately",
  rule: {
    kind: {
      case: "performed",
      value: {
        eventName: "seen",
        count: { condition: { case: "atLeast", value: 1 } },
        window: { window: { case: "last", value: { seconds: 60n } } },
      },
    },
  },
};

/** A reader of a watch that checks each response. */
class Follower {
  readonly members = new Set<string>();
  isComplete = false;
  token = "";
  answers = 0;
  readonly #client: SegmentsClient;
  readonly #segmentId: string;
  #stream: AsyncIterator<WatchSegmentResponse> | undefined;

  constructor(client: SegmentsClient, segmentId: string) {
    this.#client = client;
    this.#segmentId = segmentId;
  }

  /** Reads and applies one response. */
  async next(): Promise<WatchSegmentResponse> {
    this.#stream ??= this.#client
      .watchSegment({ segmentId: this.#segmentId, resumeToken: this.token })
      [Symbol.asyncIterator]();
    const { value, done } = await this.#stream.next();
    if (done) throw new Error("the watch has ended");
    this.#take(value);
    return value;
  }

  async until(isEnough: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isEnough())) await this.next();
  }

  async hangUp(): Promise<void> {
    await this.#stream?.return?.();
    this.#stream = undefined;
  }

  #take({ kind, resumeToken }: WatchSegmentResponse): void {
    this.answers += 1;
    this.token = resumeToken;
    if (kind.case === "members") {
      if (kind.value.restart) this.members.clear();
      for (const { profileId } of kind.value.members) {
        expect(this.members.has(profileId), `${profileId} is told twice`).toBe(false);
        this.members.add(profileId);
      }
      this.isComplete = kind.value.complete;
    } else if (kind.case === "changes") {
      const after = believe(kind.value.changes, this.members);
      this.members.clear();
      for (const id of after) this.members.add(id);
    }
  }
}

describe.each(ENGINES)("WatchSegment on %s", (engine) => {
  let house: House;
  afterEach(() => house.close());

  const see = (profileIds: readonly ProfileId[], organizationId = house.organizationId) =>
    house.events.submit(
      profileIds.map((profileId) => ({ organizationId, profileId, name: "seen", ms: house.clock.nowMs() })),
    );
  const profiles = (count: number) => Array.from({ length: count }, () => house.newProfile()).sort();
  const follow = (client = house.segments) => new Follower(client, "lately");
  const refused = (promise: Promise<unknown>) =>
    promise.then(
      () => "nothing",
      (error: unknown) => (error instanceof AppError ? error.reason : error),
    );

  test("sends the members again after a rule switch, and no changes of a pending rule", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const [ada, bo, cy] = profiles(3) as [ProfileId, ProfileId, ProfileId];
    await see([ada, bo]);
    await see([bo]);
    const follower = follow();
    await follower.until(() => follower.isComplete);
    expect([...follower.members].sort()).toEqual([ada, bo]);
    house.events.beforeScan = async () => {
      throw new AppError("UNAVAILABLE");
    };
    const segment = { eventName: "seen", minCount: 2 };
    await house.segments.updateSegment({ segmentId: "lately", segment });
    // Enters according to the serving rule, not according to the pending one.
    await see([cy]);
    await follower.until(() => follower.members.has(cy));
    house.events.beforeScan = async () => {};
    let isDone = false;
    const ticking = waitFor(
      async () => {
        await house.clock.advance(100);
        return isDone;
      },
      { timeoutMs: 20_000 },
    );
    await follower.until(() => follower.members.size === 1);
    expect([...follower.members]).toEqual([bo]);
    await see([cy]);
    await follower.until(() => follower.members.has(cy));
    isDone = true;
    await ticking;
    await expectTruth(house, "lately");
    expect([...follower.members].sort()).toEqual(await membersOf(house.segments, "lately"));
    await follower.hangUp();
  });

  test("sends the members, then entries and exits with causes, and no changes of other segments", async () => {
    house = await openHouse(engine);
    const { segment } = await house.segments.createSegment(LATELY);
    await house.segments.createSegment({ ...LATELY, name: "Twin" });
    const other = house.first.as(house.newOrganization());
    await other.createSegment(LATELY);
    const [ada, bo] = profiles(2) as [ProfileId, ProfileId];
    await see([ada]);
    const startMs = house.clock.nowMs();
    const follower = new Follower(house.segments, segment?.id ?? "");
    const first = await follower.next();
    expect(first.kind).toMatchObject({
      value: { restart: false, complete: true, members: [{ profileId: ada }] },
    });
    house.clock.setNowMs(startMs + 1000);
    await see(profiles(3), house.newOrganization());
    await see([bo]);
    const entered = await follower.next();
    expect(entered.kind.value).toMatchObject({
      changes: [
        {
          ...{ profileId: bo, member: true, origin: MembershipOrigin.LIVE, ruleVersion: 1 },
          causeEventId: house.events.raw.at(-1)?.id,
        },
      ],
    });
    house.clock.setNowMs(startMs + MINUTE_MS);
    await house.segments.getSegment({ segmentId: "lately" });
    const left = await follower.next();
    expect(left.kind.value).toMatchObject({
      changes: [{ profileId: ada, member: false, origin: MembershipOrigin.TIMER }],
    });
    expect(left.kind.case === "changes" && left.kind.value.changes[0]?.causeEventId).toBe(undefined);
    const changeTime = left.kind.case === "changes" ? left.kind.value.changes[0]?.changeTime : undefined;
    expect(Number(changeTime?.seconds) * 1000).toBe(startMs + MINUTE_MS);
    await follower.hangUp();
  });

  test("a segment without members starts with an empty page", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const follower = follow();
    expect((await follower.next()).kind).toMatchObject({
      case: "members",
      value: { members: [], complete: true },
    });
    await follower.hangUp();
  });

  test("between the pages of a large segment, changes of sent profiles follow, and other profiles appear in their current state", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const everyone = profiles(1600);
    const early = everyone.filter((_, index) => index % 2 === 0);
    await see(early.slice(0, 600));
    house.clock.setNowMs(house.clock.nowMs() + 30_000);
    await see(early.slice(600));
    const follower = follow();
    await follower.next();
    expect(follower.members.size).toBe(500);
    // The first 600 exit, both sent and unsent profiles; others enter before and after the cursor.
    house.clock.setNowMs(house.clock.nowMs() + 30_000);
    await see(everyone.filter((_, index) => index % 4 === 1));
    await house.segments.getSegment({ segmentId: "lately" });
    await follower.hangUp();
    await follower.until(() => follower.isComplete);
    expect([...follower.members].sort()).toEqual(await membersOf(house.segments, "lately"));
    await follower.hangUp();
  });

  test("resumes after any response during constant changes, without a lost or repeated change", {
    timeout: 60_000,
  }, async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const everyone = profiles(900);
    await see(everyone.slice(0, 700));
    const steady = follow();
    const torn = follow();
    let isMoving = true;
    const moving = (async () => {
      for (let round = 0; round < 8; round += 1) {
        house.clock.setNowMs(house.clock.nowMs() + 9000);
        await see(everyone.filter((_, index) => (index * 13 + round * 5) % 11 < 2));
        await house.segments.getSegment({ segmentId: "lately" });
      }
      isMoving = false;
      // One more response, so that all earlier changes have been read.
      await see(profiles(1));
    })();
    const quietly = async (follower: Follower, everyAnswers: number): Promise<void> => {
      for (;;) {
        await follower.next();
        if (follower.answers % everyAnswers === 0) await follower.hangUp();
        if (isMoving || !follower.isComplete) continue;
        const members = await membersOf(house.segments, "lately");
        if (members.every((id) => follower.members.has(id)) && members.length === follower.members.size)
          return;
      }
    };
    await Promise.all([moving, quietly(steady, Number.POSITIVE_INFINITY), quietly(torn, 1)]);
    expect([...torn.members].sort()).toEqual([...steady.members].sort());
    await expectTruth(house, "lately");
    await Promise.all([steady.hangUp(), torn.hangUp()]);
  });

  test("sends changes that another replica commits", async () => {
    house = await openHouse(engine, { exclusive: false });
    await house.segments.createSegment(LATELY);
    const second = await house.start("second", false);
    const follower = follow(second.as(house.organizationId));
    const first = follower.next();
    await waitFor(async () => {
      await house.clock.advance(100);
      return follower.answers === 1;
    });
    await first;
    const [ada] = profiles(1) as [ProfileId];
    await see([ada]);
    const next = follower.next();
    await waitFor(async () => {
      await house.clock.advance(100);
      return follower.answers === 2;
    });
    await next;
    expect([...follower.members]).toEqual([ada]);
    await follower.hangUp();
  });

  test("a reader that is too slow is disconnected, and can resume", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const everyone = profiles(30);
    await see(everyone.slice(0, 10));
    const follower = follow();
    await follower.next();
    // A reader that waits for the next change is not slow.
    const next = follower.next();
    await house.clock.advance(20_000);
    await see(everyone.slice(10, 20));
    await next;
    await follower.until(() => follower.members.size === 20);
    await see(everyone.slice(20));
    await house.segments.getSegment({ segmentId: "lately" });
    await house.clock.advance(16_000);
    expect(await refused(follower.next())).toBe("OVERLOADED");
    await follower.hangUp();
    await follower.until(() => follower.members.size === 30);
    await follower.hangUp();
  });

  test("a deleted segment ends its watches, and rejects resumed ones", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    const follower = follow();
    await follower.next();
    const waiting = refused(follower.next());
    await house.segments.deleteSegment({ segmentId: "lately" });
    expect(await waiting).toBe("SEGMENT_NOT_FOUND");
    await follower.hangUp();
    expect(await refused(follower.next())).toBe("SEGMENT_NOT_FOUND");
  });

  test("rejects a token that is forged, expired, or of another segment or organization", async () => {
    house = await openHouse(engine);
    await house.segments.createSegment(LATELY);
    await house.segments.createSegment({ ...LATELY, name: "Twin" });
    const other = house.first.as(house.newOrganization());
    await other.createSegment(LATELY);
    const follower = follow();
    await follower.next();
    await follower.hangUp();
    const { token } = follower;
    const resume = (client: SegmentsClient, segmentId: string, resumeToken: string) =>
      refused(client.watchSegment({ segmentId, resumeToken })[Symbol.asyncIterator]().next());
    expect(await resume(house.segments, "lately", `${token}A`)).toBe("POSITION_INVALID");
    expect(await resume(house.segments, "lately", "nonsense")).toBe("POSITION_INVALID");
    expect(await resume(house.segments, "twin", token)).toBe("POSITION_INVALID");
    expect(await resume(other, "lately", token)).toBe("POSITION_INVALID");
    await see(profiles(40));
    await house.segments.getSegment({ segmentId: "lately" });
    // The relay deletes messages that are older than a day.
    await house.database.transaction((trx) => trx("outbox_messages").delete());
    expect(await resume(house.segments, "lately", token)).toBe("POSITION_INVALID");
  });

  test("a segment of another organization is not found, by id or slug", async () => {
    house = await openHouse(engine);
    const { segment } = await house.segments.createSegment(LATELY);
    const stranger = house.first.as(house.newOrganization());
    for (const segmentId of [segment?.id ?? "", "lately", "", "nonsense"]) {
      expect(await refused(new Follower(stranger, segmentId).next())).toBe("SEGMENT_NOT_FOUND");
    }
  });

  test("a watch cannot start during a backfill, even with eventual consistency", async () => {
    house = await openHouse(engine);
    await see(profiles(50));
    house.events.beforeScan = async () => {
      throw new AppError("UNAVAILABLE");
    };
    await house.segments.createSegment(LATELY);
    const hasty = house.first.as(house.organizationId, { "muster-consistency": "eventual" });
    expect(await refused(follow(hasty).next())).toBe("NOT_YET_CONSISTENT");
    house.events.beforeScan = async () => {};
    const follower = follow();
    const first = follower.next();
    // In small steps, because the read gives up after ten seconds of this clock.
    await waitFor(
      async () => {
        await house.clock.advance(20);
        return follower.isComplete;
      },
      { timeoutMs: 20_000 },
    );
    await first;
    expect(follower.members.size).toBe(50);
    await follower.hangUp();
  });
});
