// Tests WatchSegment: the members, then every change exactly once, resumable after any response.
import type { WatchSegmentResponse } from "@muster/contracts/muster/segments/v1/segment_watch_pb";
import { MembershipOrigin } from "@muster/contracts/muster/segments/v1/segments_events_pb";
import type { ProfileId } from "@muster/core";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { performed } from "@muster/testkit/rules";
import { afterEach, describe, expect, test } from "vitest";
import { replayMembership } from "./announcements.ts";
import {
  expectExactMembers,
  membersOf,
  openHarness,
  type SegmentsClient,
  type SegmentsHarness,
} from "./segments-harness.ts";

const MINUTE_MS = 60_000;
/** Matches events of the last minute. */
const LATELY = { name: "Lately", rule: performed("seen").atLeast(1).within("1m") };

/** A reader of a watch that checks each response. */
class Follower {
  readonly members = new Set<string>();
  isComplete = false;
  token = "";
  responses = 0;
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
    this.responses += 1;
    this.token = resumeToken;
    if (kind.case === "members") {
      if (kind.value.restart) this.members.clear();
      for (const { profileId } of kind.value.members) {
        expect(this.members.has(profileId), `${profileId} is sent twice`).toBe(false);
        this.members.add(profileId);
      }
      this.isComplete = kind.value.complete;
    } else if (kind.case === "changes") {
      const after = replayMembership(kind.value.changes, this.members);
      this.members.clear();
      for (const id of after) this.members.add(id);
    }
  }
}

describe.each(ENGINES)("WatchSegment on %s", (engine) => {
  let harness: SegmentsHarness;
  afterEach(() => harness.close());

  const see = (profileIds: readonly ProfileId[], organizationId = harness.organizationId) =>
    harness.events.submit(
      profileIds.map((profileId) => ({ organizationId, profileId, name: "seen", ms: harness.clock.nowMs() })),
    );
  const profiles = (count: number) => Array.from({ length: count }, () => harness.newProfile()).sort();
  const follow = (client = harness.segments) => new Follower(client, "lately");
  const reasonOf = (promise: Promise<unknown>) =>
    promise.then(
      () => "nothing",
      (error: unknown) => (error instanceof AppError ? error.reason : error),
    );

  test("sends the members again after a rule switch, and no changes of a pending rule", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const [ada, bo, cy] = profiles(3) as [ProfileId, ProfileId, ProfileId];
    await see([ada, bo]);
    await see([bo]);
    const follower = follow();
    await follower.until(() => follower.isComplete);
    expect([...follower.members].sort()).toEqual([ada, bo]);
    harness.events.beforeScan = async () => {
      throw new AppError("UNAVAILABLE");
    };
    const segment = { eventName: "seen", minCount: 2 };
    const eventual = harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });
    await eventual.updateSegment({ segmentId: "lately", segment });
    // Enters according to the serving rule, not according to the pending one.
    await see([cy]);
    await follower.until(() => follower.members.has(cy));
    harness.events.beforeScan = async () => {};
    let isDone = false;
    const ticking = waitFor(
      async () => {
        await harness.clock.advance(100);
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
    await expectExactMembers(harness, "lately");
    expect([...follower.members].sort()).toEqual(await membersOf(harness.segments, "lately"));
    await follower.hangUp();
  });

  test("sends the members, then entries and exits with causes, and no changes of other segments", async () => {
    harness = await openHarness(engine);
    const { segment } = await harness.segments.createSegment(LATELY);
    await harness.segments.createSegment({ ...LATELY, name: "Twin" });
    const other = harness.first.as(harness.newOrganization());
    await other.createSegment(LATELY);
    const [ada, bo] = profiles(2) as [ProfileId, ProfileId];
    await see([ada]);
    const startMs = harness.clock.nowMs();
    const follower = new Follower(harness.segments, segment?.id ?? "");
    const first = await follower.next();
    expect(first.kind).toMatchObject({
      value: { restart: false, complete: true, members: [{ profileId: ada }] },
    });
    harness.clock.setNowMs(startMs + 1000);
    await see(profiles(3), harness.newOrganization());
    await see([bo]);
    const entered = await follower.next();
    expect(entered.kind.value).toMatchObject({
      changes: [
        {
          profileId: bo,
          member: true,
          origin: MembershipOrigin.LIVE,
          ruleVersion: 1,
          causeEventId: harness.events.raw.at(-1)?.id,
        },
      ],
    });
    harness.clock.setNowMs(startMs + MINUTE_MS);
    await harness.segments.getSegment({ segmentId: "lately" });
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
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const follower = follow();
    expect((await follower.next()).kind).toMatchObject({
      case: "members",
      value: { members: [], complete: true },
    });
    await follower.hangUp();
  });

  test("between the pages of a large segment, changes of sent profiles follow, and other profiles appear in their current state", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const everyone = profiles(1600);
    const early = everyone.filter((_, index) => index % 2 === 0);
    await see(early.slice(0, 600));
    harness.clock.setNowMs(harness.clock.nowMs() + 30_000);
    await see(early.slice(600));
    const follower = follow();
    await follower.next();
    expect(follower.members.size).toBe(500);
    // The first 600 exit, both sent and unsent profiles; others enter before and after the cursor.
    harness.clock.setNowMs(harness.clock.nowMs() + 30_000);
    await see(everyone.filter((_, index) => index % 4 === 1));
    await harness.segments.getSegment({ segmentId: "lately" });
    await follower.hangUp();
    await follower.until(() => follower.isComplete);
    expect([...follower.members].sort()).toEqual(await membersOf(harness.segments, "lately"));
    await follower.hangUp();
  });

  test("resumes after any response during constant changes, without a lost or repeated change", {
    timeout: 60_000,
  }, async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const everyone = profiles(900);
    await see(everyone.slice(0, 700));
    const steady = follow();
    const torn = follow();
    let isMoving = true;
    const moving = (async () => {
      for (let round = 0; round < 8; round += 1) {
        harness.clock.setNowMs(harness.clock.nowMs() + 9000);
        await see(everyone.filter((_, index) => (index * 13 + round * 5) % 11 < 2));
        await harness.segments.getSegment({ segmentId: "lately" });
      }
      isMoving = false;
      // One more response, so that all earlier changes have been read.
      await see(profiles(1));
    })();
    const quietly = async (follower: Follower, everyResponses: number): Promise<void> => {
      for (;;) {
        await follower.next();
        if (follower.responses % everyResponses === 0) await follower.hangUp();
        if (isMoving || !follower.isComplete) continue;
        const members = await membersOf(harness.segments, "lately");
        if (members.every((id) => follower.members.has(id)) && members.length === follower.members.size)
          return;
      }
    };
    await Promise.all([moving, quietly(steady, Number.POSITIVE_INFINITY), quietly(torn, 1)]);
    expect([...torn.members].sort()).toEqual([...steady.members].sort());
    await expectExactMembers(harness, "lately");
    await Promise.all([steady.hangUp(), torn.hangUp()]);
  });

  test("sends changes that another replica commits", async () => {
    harness = await openHarness(engine, { exclusive: false });
    await harness.segments.createSegment(LATELY);
    const second = await harness.start("second", false);
    const follower = follow(second.as(harness.organizationId));
    const first = follower.next();
    await waitFor(async () => {
      await harness.clock.advance(100);
      return follower.responses === 1;
    });
    await first;
    const [ada] = profiles(1) as [ProfileId];
    await see([ada]);
    const next = follower.next();
    await waitFor(async () => {
      await harness.clock.advance(100);
      return follower.responses === 2;
    });
    await next;
    expect([...follower.members]).toEqual([ada]);
    await follower.hangUp();
  });

  test("a reader that is slow receives every change, and can resume", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const everyone = profiles(30);
    await see(everyone.slice(0, 10));
    const follower = follow();
    await follower.next();
    const next = follower.next();
    await harness.clock.advance(20_000);
    await see(everyone.slice(10, 20));
    await next;
    await follower.until(() => follower.members.size === 20);
    await see(everyone.slice(20));
    await harness.segments.getSegment({ segmentId: "lately" });
    await harness.clock.advance(16_000);
    await follower.next();
    await follower.hangUp();
    await follower.until(() => follower.members.size === 30);
    await follower.hangUp();
  });

  test("a deleted segment ends its watches, and rejects resumed ones", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    const follower = follow();
    await follower.next();
    const waiting = reasonOf(follower.next());
    await harness.segments.deleteSegment({ segmentId: "lately" });
    expect(await waiting).toBe("SEGMENT_NOT_FOUND");
    await follower.hangUp();
    expect(await reasonOf(follower.next())).toBe("SEGMENT_NOT_FOUND");
  });

  test("rejects a token that is forged, expired, or of another segment or organization", async () => {
    harness = await openHarness(engine);
    await harness.segments.createSegment(LATELY);
    await harness.segments.createSegment({ ...LATELY, name: "Twin" });
    const other = harness.first.as(harness.newOrganization());
    await other.createSegment(LATELY);
    const follower = follow();
    await follower.next();
    await follower.hangUp();
    const { token } = follower;
    const resume = (client: SegmentsClient, segmentId: string, resumeToken: string) =>
      reasonOf(client.watchSegment({ segmentId, resumeToken })[Symbol.asyncIterator]().next());
    expect(await resume(harness.segments, "lately", `${token}A`)).toBe("POSITION_INVALID");
    expect(await resume(harness.segments, "lately", "nonsense")).toBe("POSITION_INVALID");
    expect(await resume(harness.segments, "twin", token)).toBe("POSITION_INVALID");
    expect(await resume(other, "lately", token)).toBe("POSITION_INVALID");
    await see(profiles(40));
    await harness.segments.getSegment({ segmentId: "lately" });
    // The relay deletes messages that are older than a day.
    await harness.database.transaction((trx) => trx("outbox_messages").delete());
    expect(await resume(harness.segments, "lately", token)).toBe("POSITION_INVALID");
  });

  test("a segment of another organization is not found, by id or slug", async () => {
    harness = await openHarness(engine);
    const { segment } = await harness.segments.createSegment(LATELY);
    const stranger = harness.first.as(harness.newOrganization());
    for (const segmentId of [segment?.id ?? "", "lately", "", "nonsense"]) {
      expect(await reasonOf(new Follower(stranger, segmentId).next())).toBe("SEGMENT_NOT_FOUND");
    }
  });

  test("a watch cannot start during a backfill, even with eventual consistency", async () => {
    harness = await openHarness(engine);
    await see(profiles(50));
    harness.events.beforeScan = async () => {
      throw new AppError("UNAVAILABLE");
    };
    await harness.segments.createSegment(LATELY);
    const hasty = harness.first.as(harness.organizationId, { "muster-consistency": "eventual" });
    expect(await reasonOf(follow(hasty).next())).toBe("NOT_YET_CONSISTENT");
    harness.events.beforeScan = async () => {};
    const follower = follow();
    const first = follower.next();
    // In small steps, because the read gives up after ten seconds of this clock.
    await waitFor(
      async () => {
        await harness.clock.advance(20);
        return follower.isComplete;
      },
      { timeoutMs: 20_000 },
    );
    await first;
    expect(follower.members.size).toBe(50);
    await follower.hangUp();
  });
});
