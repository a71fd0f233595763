// Tests the right to erasure: no data about the person remains, re-sent events are rejected, and other
// persons are unchanged.
import { randomBytes } from "node:crypto";
import { fromBinary, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { ErasureState } from "@muster/contracts/muster/events/v1/erasure_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileErasedSchema } from "@muster/contracts/muster/events/v1/events_events_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import {
  bytesToUuid,
  type OrganizationId,
  type ProfileId,
  shardOf,
  systemClock,
  uuidToBytes,
} from "@muster/core";
import { columnsOf, ENGINES, findInTables, waitFor } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PROFILE_TABLES } from "../src/erasure/profile-tables-store.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { recordEvent, batchRecordEvents, listEvents } = EventService.method;
const { createProfile, getProfile, listProfiles, mergeProfile, unmergeProfile } = ProfileService.method;
const { eraseProfile, eraseTrackedUser, getErasure, listErasures } = ErasureService.method;
const { recordTrackedUserEvent } = BehaviorService.method;
const { recordAction, listAlerts } = AlertService.method;

const NOW_MS = systemClock.nowMs();
/** A text in every identity and property of the person, different for each test. */
let mark = "";

describe.each(ENGINES)("erasure on %s", (engine) => {
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: CallAs;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock: systemClock });
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
    mark = `erase-me-${randomBytes(4).toString("hex")}`;
  });

  const dated = (userId: string, eventId: string, more: object = {}) => ({
    identity: { case: "userId" as const, value: userId },
    name: `${mark} bought`,
    properties: JSON.stringify({ [mark]: mark }),
    timestamp: timestampFromMs(NOW_MS - 60_000),
    eventId,
    ...more,
  });
  const record = (event: object, more: Partial<CallAs> = {}) =>
    events.call(recordEvent, { event }, { ...as, ...more });
  const erasureIdOf = ({ headers }: { headers: ReadonlyMap<string, string> }): string =>
    headers.get("muster-erasure-id") ?? "";
  const receiptOf = async (erasureId: string, by: CallAs = as) =>
    (await events.call(getErasure, { erasureId }, by)).erasure;
  /** The report of the segments service after applying the erasure. */
  const report = (erasureId: string, profileId: string, count = 1n) =>
    events.feed.reportErasure({
      organizationId: uuidToBytes(organizationId),
      erasureId: uuidToBytes(erasureId),
      profileId: uuidToBytes(profileId),
      locations: [{ location: "segments.memberships", count }],
    });
  const found = () => findInTables(events.database, mark);

  /**
   * Creates a person of three profiles with data in every location, and another person in the same messages.
   */
  async function createMergedPerson(): Promise<{ rootId: string; mergedId: string; otherId: string }> {
    const { profile } = await events.call(
      createProfile,
      {
        userId: `${mark}-user`,
        email: `${mark}@example.com`,
        name: mark,
        traits: JSON.stringify({ [mark]: mark }),
      },
      { ...as, idempotencyKey: `${mark}-create` },
    );
    const anonymous = { identity: { case: "anonymousId" as const, value: `${mark}-device` } };
    const otherEvent = dated("bob", "b1", { name: "kept", properties: '{"k":1}' });
    const undated = { timestamp: undefined };
    const { results } = await events.call(
      batchRecordEvents,
      {
        events: [
          dated(`${mark}-user`, `${mark}-1`),
          otherEvent,
          dated("", `${mark}-2`, {
            ...anonymous,
            ...undated,
            name: "page.viewed",
            properties: `{"name":"${mark}"}`,
          }),
          dated(`${mark}-user`, `${mark}-3`, {
            name: "withdraw",
            properties: '{"amount":"500.00","time":5}',
          }),
        ],
      },
      { ...as, idempotencyKey: `${mark}-batch` },
    );
    const [rootId, otherId, mergedId] = [profile?.id, results[1]?.profileId, results[2]?.profileId];
    await events.call(
      mergeProfile,
      { profileId: mergedId ?? "", into: rootId ?? "" },
      { ...as, idempotencyKey: `${mark}-merge` },
    );
    // Recorded for the merged profile, and therefore published for the root.
    await record(dated("", `${mark}-4`, { ...anonymous, name: "page.viewed" }));
    await record(dated(`${mark}-user`, `${mark}-5`, undated), { idempotencyKey: `${mark}-single` });
    return { rootId: rootId ?? "", mergedId: mergedId ?? "", otherId: otherId ?? "" };
  }

  test("no table contains data about the person, and other persons keep all data", async () => {
    const { rootId, mergedId, otherId } = await createMergedPerson();
    expect(await found()).not.toEqual([]);
    const before = await events.call(listEvents, { profileId: otherId }, as);

    const erasureId = erasureIdOf(await events.callWithHeaders(eraseProfile, { profileId: mergedId }, as));
    expect(await found()).toEqual([]);

    for (const profileId of [rootId, mergedId]) {
      const gone = { reason: "PROFILE_NOT_FOUND" };
      await expect(events.call(getProfile, { profileId }, as)).rejects.toMatchObject(gone);
      await expect(events.call(listEvents, { profileId }, as)).rejects.toMatchObject(gone);
      await expect(events.call(eraseProfile, { profileId }, as)).rejects.toMatchObject(gone);
    }
    expect((await events.call(listAlerts, {}, as)).alerts).toEqual([]);
    const { profiles } = await events.call(listProfiles, {}, as);
    expect(profiles.map(({ id }) => id)).toEqual([otherId]);
    expect(await events.call(listEvents, { profileId: otherId }, as)).toEqual(before);
    await expectErasurePublished(otherId, [rootId, mergedId], erasureId);
  });

  /**
   * Expects gapless positions, the event of the other person, and a final erasure message for each profile.
   */
  async function expectErasurePublished(
    otherId: string,
    erasedIds: string[],
    erasureId: string,
  ): Promise<void> {
    const erased: string[] = [];
    const published: string[] = [];
    const { positions } = await events.feed.getPositions({});
    for (const [shard, head] of positions.entries()) {
      const { envelopes } = await events.feed.readOutbox({ shard, afterPosition: 0n, limit: 1000 });
      expect(BigInt(envelopes.length)).toBe(head);
      for (const { type, data } of envelopes) {
        if (Buffer.from(data).includes(uuidToBytes(otherId))) published.push(type);
        if (type !== "muster.events.profile.erased.v1") continue;
        const message = fromBinary(ProfileErasedSchema, data);
        if (bytesToUuid(message.erasureId) === erasureId) erased.push(bytesToUuid(message.profileId));
      }
    }
    expect(erased.sort()).toEqual(erasedIds.sort());
    expect(published).toEqual(["muster.events.tracked_event.recorded.v1"]);
  }

  test("the receipt counts removed data per location, and completes after all reports", async () => {
    const { rootId, mergedId } = await createMergedPerson();
    const erasureId = erasureIdOf(await events.callWithHeaders(eraseProfile, { profileId: rootId }, as));
    expect(await receiptOf(erasureId)).toMatchObject({ id: erasureId, state: ErasureState.RUNNING });
    await report(erasureId, rootId, 2n);
    // Sent twice, as after a lost response.
    await report(erasureId, rootId, 2n);
    await waitFor(async () =>
      (await receiptOf(erasureId))?.locations.some(
        ({ location, count }) => location === "events.stream" && count > 0n,
      ),
    );
    expect((await receiptOf(erasureId))?.state).toBe(ErasureState.RUNNING);
    await report(erasureId, mergedId);
    const receipt = await waitFor(async () => {
      const now = await receiptOf(erasureId);
      return now?.state === ErasureState.COMPLETE ? now : undefined;
    });
    expect(receipt.completeTime).toBeDefined();
    expect(receipt.profileIds).toEqual([rootId, mergedId].sort());
    const counts = Object.fromEntries(
      receipt.locations.map(({ location, count }) => [location, Number(count)]),
    );
    expect(counts).toMatchObject({
      "events.profiles": 2,
      "events.profile_identities": 3,
      "events.tracked_events": 5,
      "events.undated_event_ids": 2,
      "events.alerts": 1,
      "events.profile_merges": 1,
      "events.idempotency_responses": 4,
      "segments.memberships": 3,
    });
    for (const location of [
      "event_counts",
      "page_view_hours",
      "alert_history",
      "outbox_messages",
      "stream",
    ]) {
      expect(counts[`events.${location}`], location).toBeGreaterThan(0);
    }
    await expectReason(receiptOf(erasureId, { organizationId: newOrganization() }), "ERASURE_NOT_FOUND");
    await expectReason(receiptOf("nonsense"), "ERASURE_NOT_FOUND");
    expect(
      await events.database.reader("erasure_tasks").where({ erasure_id: uuidToBytes(erasureId) }),
    ).toEqual([]);
  });

  test("receipts are listed newest first in pages, for one organization", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      await record(dated(`u${index}`, `e${index}`));
      ids.unshift(erasureIdOf(await events.callWithHeaders(eraseTrackedUser, { userId: `u${index}` }, as)));
    }
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await events.call(listErasures, { pageSize: 2, pageToken }, as);
      listed.push(...page.erasures.map(({ id }) => id));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(listed).toEqual(ids);
    const other = { organizationId: newOrganization() };
    expect((await events.call(listErasures, {}, other)).erasures).toEqual([]);
    const { nextPageToken } = await events.call(listErasures, { pageSize: 2 }, as);
    await expectReason(events.call(listErasures, { pageToken: nextPageToken }, other), "PAGE_TOKEN_INVALID");
  });

  test("erasing an unknown or erased user is not an error and creates no receipt", async () => {
    const twice = async (userId: string) => [
      erasureIdOf(await events.callWithHeaders(eraseTrackedUser, { userId }, as)),
      erasureIdOf(await events.callWithHeaders(eraseTrackedUser, { userId }, as)),
    ];
    expect(await twice("nobody")).toEqual(["", ""]);
    await record(dated("ada", "e1"));
    expect(await twice("ada")).toEqual([expect.stringMatching(/-/), ""]);
    // A user with the same id in another organization is another person.
    const other = { organizationId: newOrganization() };
    await record(dated("eve", "e1"), other);
    expect(await twice("eve")).toEqual(["", ""]);
    expect((await events.call(listProfiles, {}, other)).profiles).toHaveLength(1);
  });

  test("re-sent events are rejected; new events create a new profile", async () => {
    const undated = { timestamp: undefined };
    const sent = [
      dated("ada", "e1"),
      dated("ada", "e2", undated),
      dated("ada", "e3", { name: "page.viewed" }),
    ];
    const first = await events.call(batchRecordEvents, { events: sent }, as);
    const purchase = { userId: "ada", eventType: "PURCHASE", timestamp: BigInt(NOW_MS) };
    await events.call(recordTrackedUserEvent, purchase, as);
    await events.call(eraseTrackedUser, { userId: "ada" }, as);

    const erased = { reason: "EVENT_ERASED", row: { http: 409 } };
    for (const event of sent) await expect(record(event)).rejects.toMatchObject(erased);
    // The event is rejected for any user.
    await expect(record(dated("bob", "e1"))).rejects.toMatchObject(erased);
    const again = await events.call(
      batchRecordEvents,
      { events: [...sent, dated("ada", "e4", { name: "seen" })] },
      as,
    );
    expect(again.results.map(({ error }) => error?.reason)).toEqual([
      ...["EVENT_ERASED", "EVENT_ERASED", "EVENT_ERASED"],
      undefined,
    ]);
    await expectReason(events.call(recordTrackedUserEvent, purchase, as), "USER_EVENT_EXISTS");
    const { profiles } = await events.call(listProfiles, {}, as);
    expect(profiles.map(({ userId }) => userId)).toEqual(["ada"]);
    expect(profiles[0]?.id).not.toBe(first.results[0]?.profileId);
    const listed = await events.call(listEvents, { profileId: profiles[0]?.id ?? "" }, as);
    expect(listed.events.map(({ eventId }) => eventId)).toEqual(["e4"]);
    // The other organization has no erasures.
    await record(dated("ada", "e1"), { organizationId: newOrganization() });
  });

  test("a stored response about the person is not returned again; a response about several persons loses the erased part", async () => {
    const single = dated("ada", "e1");
    await record(single, { idempotencyKey: "single" });
    const batch = { events: [dated("ada", "e2"), dated("bob", "e3")] };
    const whole = await events.call(batchRecordEvents, batch, { ...as, idempotencyKey: "batch" });
    const bare = { identity: { case: "userId" as const, value: "ada" }, name: "without an id" };
    await record(bare, { idempotencyKey: "bare" });
    await events
      .call(recordAction, { type: "deposit", amount: "1.00", userId: 7n, time: 1n }, as)
      .catch(() => {});
    await events.call(eraseTrackedUser, { userId: "ada" }, as);

    await expectReason(record(single, { idempotencyKey: "single" }), "EVENT_ERASED");
    await expect(record(bare, { idempotencyKey: "bare" })).rejects.toMatchObject({
      reason: "EVENT_ERASED",
      replayed: true,
    });
    const { message, headers } = await events.callWithHeaders(batchRecordEvents, batch, {
      ...as,
      idempotencyKey: "batch",
    });
    expect(headers.get("idempotency-replayed")).toBe("true");
    expect(message.results).toEqual(whole.results.slice(1));
    expect(toJsonString(batchRecordEvents.output, message)).not.toContain(mark);
    expect((await events.call(listProfiles, {}, as)).profiles.map(({ userId }) => userId)).toEqual(["bob"]);
  });

  test("after an unmerge and an erasure, no data about the person remains under the merge target", async () => {
    const ada = await record(dated(`${mark}-ada`, `${mark}-1`));
    const bob = await record(dated("bob", "b1", { name: "kept", properties: "{}" }));
    const [adaId, bobId] = [ada.event?.profileId ?? "", bob.event?.profileId ?? ""];
    await events.call(
      ProfileService.method.updateProfile,
      { profileId: adaId, profile: { traits: JSON.stringify({ [mark]: 1 }) } },
      as,
    );
    await events.call(mergeProfile, { profileId: adaId, into: bobId }, { ...as, idempotencyKey: "merge" });
    await record(dated(`${mark}-ada`, `${mark}-2`), { idempotencyKey: "while merged" });
    await events.call(unmergeProfile, { profileId: adaId }, as);
    await events.call(eraseProfile, { profileId: adaId }, as);
    expect(await found()).toEqual([]);
    const { profile } = await events.call(getProfile, { profileId: bobId }, as);
    expect(profile).toMatchObject({ userId: "bob", traits: "{}" });
    // The event of Bob and the current profile of Bob are still published.
    const shard = shardOf(organizationId, bobId as ProfileId);
    const { envelopes } = await events.feed.readOutbox({ shard, afterPosition: 0n, limit: 1000 });
    const mine = envelopes
      .filter(({ data }) => Buffer.from(data).includes(uuidToBytes(bobId)))
      .map(({ type }) => type);
    expect(mine).toContain("muster.events.tracked_event.recorded.v1");
    expect(mine.at(-1)).toBe("muster.events.profile.changed.v1");
  });

  test("every table with profile ids is erased", async () => {
    /** Receipts contain only ids, and profiles are deleted when the erasure begins. */
    const others = ["profiles", "profile_identities", "tracked_events", "erasure_counts", "erasure_tasks"];
    const cleaned = PROFILE_TABLES.map(({ table, column }) => `${table}.${column}`);
    for (const [table, columns] of await columnsOf(events.database)) {
      for (const column of columns) {
        if (others.includes(table) || !/profile_id$|^(root|parent)_id$|^subject$/.test(column)) continue;
        if (table === "idempotency_subjects") continue;
        expect(cleaned, "src/erasure/profile-rows-store.ts lacks a table").toContain(`${table}.${column}`);
      }
    }
  });
});
