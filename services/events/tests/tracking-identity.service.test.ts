// Tests identity claims of tracking calls: merges, traits, repeated calls and erased data.
import type { DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import {
  type TrackingCallSchema,
  TrackingService,
} from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { type OrganizationId, type ProfileId, shardOf } from "@muster/core";
import type { Database, Transaction } from "@muster/db";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { track, identify, alias, group, screen, batch, page, import: importCalls } = TrackingService.method;
const { listProfiles } = ProfileService.method;
const { listEvents } = EventService.method;

type Call = MessageInitShape<typeof TrackingCallSchema>;
type Single = typeof track | typeof identify | typeof alias | typeof group | typeof screen;

describe.each(ENGINES)("identity claims of tracking calls on %s", (engine) => {
  let events: EventsUnderTest;
  let organizationId: OrganizationId;
  let as: { organizationId: OrganizationId };

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());
  beforeEach(() => {
    organizationId = newOrganization();
    as = { organizationId };
  });

  const call = (method: Single, sent: Call, caller = as) =>
    events.call(method as typeof track, { call: sent }, caller);
  const profiles = async (caller = as) =>
    (await events.call(listProfiles, { pageSize: 500 }, caller)).profiles;
  async function stored(caller = as) {
    const found = [];
    for (const { id } of await profiles(caller)) {
      const { events: own } = await events.call(listEvents, { profileId: id, pageSize: 500 }, caller);
      found.push(...own);
    }
    return found;
  }
  const names = async () => (await stored()).map(({ name }) => name).sort();
  async function refusal<M extends DescMethodUnary>(method: M, request: MessageInitShape<M["input"]>) {
    const error = await events.call(method, request, as).then(
      () => undefined,
      (failure: { reason: string; fields: { field: string }[] }) => failure,
    );
    return error && `${error.reason} ${error.fields.map(({ field }) => field).join(" ")}`.trim();
  }

  test("identify links a visitor with all earlier events to a user", async () => {
    await call(track, { anonymousId: "a", event: "before" });
    await call(identify, {
      userId: "u",
      anonymousId: "a",
      traits: '{"plan":"pro","email":"U@example.test","name":"Ada"}',
    });
    await call(track, { anonymousId: "a", event: "by visitor" });
    await call(track, { userId: "u", event: "by user" });
    expect(await profiles()).toMatchObject([
      { userId: "u", anonymousId: "a", email: "U@example.test", name: "Ada" },
    ]);
    expect(JSON.parse((await profiles())[0]?.traits ?? "")).toMatchObject({ plan: "pro" });
    expect((await names()).sort()).toEqual(["before", "by user", "by visitor", "user.identified"]);
  });

  test("a second device joins the group, with events in one list", async () => {
    for (const anonymousId of ["phone", "desk"]) {
      await call(track, { anonymousId, event: `seen on ${anonymousId}` });
      await call(identify, { userId: "u", anonymousId });
      await call(track, { anonymousId, event: `bought on ${anonymousId}` });
    }
    expect(await profiles()).toHaveLength(1);
    expect(await names()).toHaveLength(6);
  });

  test("a device of another user stays with that user", async () => {
    await call(identify, { userId: "u", anonymousId: "shared" });
    await call(identify, { userId: "v", anonymousId: "shared" });
    await call(track, { anonymousId: "shared", event: "x" });
    const own = (await stored()).filter(({ name }) => name === "x");
    const listed = await profiles();
    expect(listed.map(({ userId }) => userId).sort()).toEqual(["u", "v"]);
    expect(own[0]?.profileId).toBe(listed.find(({ userId }) => userId === "u")?.id);
  });

  test("traits are merged, null removes a trait, and an email of another profile stays a trait", async () => {
    await call(identify, { userId: "u", traits: '{"a":1.10,"b":{"c":1},"email":"one@example.test"}' });
    await call(identify, { userId: "u", traits: '{"b":null,"d":[1]}' });
    await call(identify, { userId: "v", traits: '{"email":"ONE@example.test"}' });
    const [u, v] = await profiles();
    expect(u).toMatchObject({ email: "one@example.test" });
    expect(u?.traits).toContain('"a":1.10');
    expect(JSON.parse(u?.traits ?? "")).toEqual({ a: 1.1, d: [1] });
    expect(v?.email).toBeUndefined();
    expect(JSON.parse(v?.traits ?? "")).toEqual({ email: "ONE@example.test" });
  });

  test("a repeated identify does not undo later changes", async () => {
    const old = { userId: "u", traits: '{"plan":"free"}', messageId: "m1" };
    await call(identify, old);
    await call(identify, { userId: "u", traits: '{"plan":"pro"}', messageId: "m2" });
    await call(identify, old);
    await call(identify, { ...old, anonymousId: "a" });
    expect(await profiles()).toMatchObject([{ traits: '{"plan":"pro"}' }]);
    expect((await profiles())[0]?.anonymousId).toBeUndefined();
    expect(await names()).toEqual(["user.identified", "user.identified"]);
  });

  test("alias merges a visitor into a user, in the order of calls within a batch", async () => {
    const calls = [
      { type: "track", anonymousId: "a", event: "browsed" },
      { type: "identify", anonymousId: "a", traits: '{"plan":"pro"}' },
      { type: "track", userId: "new", event: "bought" },
      { type: "alias", userId: "new", previousId: "a" },
      { type: "track", anonymousId: "a", event: "came back" },
    ];
    await events.call(batch, { batch: calls }, as);
    const [group, ...others] = await profiles();
    expect(others).toEqual([]);
    expect(group).toMatchObject({ userId: "new" });
    expect(JSON.parse(group?.traits ?? "")).toEqual({ plan: "pro" });
    expect((await names()).sort()).toEqual(
      ["bought", "browsed", "came back", "user.aliased", "user.identified"].sort(),
    );
    expect(new Set((await stored()).map(({ profileId }) => profileId)).size).toBe(1);
  });

  test("alias of two unknown ids creates one group", async () => {
    await call(alias, { userId: "u", previousId: "p" });
    await call(track, { anonymousId: "p", event: "x" });
    expect(await profiles()).toHaveLength(1);
    expect(await names()).toEqual(["user.aliased", "x"]);
  });

  test("concurrent calls for the same people store each event once and keep groups complete", async () => {
    const devices = ["a", "b", "c", "d"];
    await Promise.all(
      devices.flatMap((anonymousId) => [
        call(track, { anonymousId, event: "seen", messageId: `t-${anonymousId}` }),
        call(identify, { userId: "u", anonymousId, messageId: `i-${anonymousId}` }),
        call(identify, { userId: "u", anonymousId, messageId: `i-${anonymousId}` }),
        call(track, { userId: "u", event: "bought", messageId: `b-${anonymousId}` }),
        call(alias, { userId: "u", previousId: "p", messageId: `v-${anonymousId}` }),
      ]),
    );
    for (const anonymousId of devices) {
      await call(identify, { userId: "u", anonymousId, messageId: `last-${anonymousId}` });
    }
    await call(alias, { userId: "u", previousId: "p", messageId: "last" });
    expect(await profiles()).toHaveLength(1);
    const counts = Object.entries(Object.groupBy(await names(), (name) => name));
    expect(Object.fromEntries(counts.map(([name, all]) => [name, all?.length]))).toEqual({
      seen: 4,
      "user.identified": 8,
      bought: 4,
      "user.aliased": 5,
    });
  });

  test("too many traits fail only their own call", async () => {
    const large = (name: string) => JSON.stringify({ [name]: "x".repeat(40_000) });
    await call(identify, { userId: "u", traits: large("a") });
    expect(await refusal(identify, { call: { userId: "u", traits: large("b") } })).toBe(
      "FIELD_INVALID call.traits",
    );
    const calls = [
      { type: "identify", userId: "v", traits: '{"a":1}' },
      { type: "identify", userId: "u", traits: large("b") },
      { type: "alias", userId: "v", previousId: "w" },
      { type: "track", userId: "u", event: "x" },
    ];
    expect(await events.call(batch, { batch: calls }, as)).toMatchObject({ success: true });
    expect(await refusal(batch, { batch: calls.slice(1, 2) })).toBe("FIELD_INVALID batch[0].traits");
    expect(await names()).toEqual(["user.aliased", "user.identified", "user.identified", "x"]);
    expect(await profiles()).toMatchObject([{ userId: "u" }, { userId: "v", traits: '{"a":1}' }]);
  });

  test("identity calls share commits, and repeated calls within a batch apply once", async () => {
    const calls = Array.from({ length: 120 }, (_, index) => ({
      type: "identify",
      userId: `u${index % 60}`,
      traits: `{"n":${index}}`,
      messageId: `m${index % 60}`,
    }));
    const before = await events.count("muster_ingest_commits_total");
    await events.call(batch, { batch: calls }, as);
    // At least 15 calls with claims share a transaction, however slow the machine is.
    expect((await events.count("muster_ingest_commits_total")) - before).toBeLessThanOrEqual(8);
    expect((await profiles()).map(({ traits }) => JSON.parse(traits).n)).toEqual(
      Array.from({ length: 60 }, (_, index) => index),
    );
    expect(await names()).toHaveLength(60);
  });

  test("a merge is published before the event that caused it", async () => {
    await call(track, { anonymousId: "a", event: "x" });
    await call(track, { userId: "u", event: "x" });
    const known = (await profiles()).find(({ userId }) => userId === "u");
    await call(identify, { userId: "u", anonymousId: "a" });
    const { envelopes } = await events.announced();
    const shard = shardOf(organizationId, (known?.id ?? "") as ProfileId);
    const last = envelopes.filter((envelope) => envelope.shard === shard).slice(-2);
    expect(last.map(({ type }) => type)).toEqual([
      "muster.events.profile.merged.v1",
      "muster.events.tracked_event.recorded.v1",
    ]);
  });

  test("an identity claim needs its event: without the event nothing changes", async () => {
    let isFailing = false;
    const failing = (database: Database): Database =>
      new Proxy(database, {
        get(target, key) {
          const value = Reflect.get(target, key, target);
          if (key !== "transaction") return typeof value === "function" ? value.bind(target) : value;
          return (body: (trx: Transaction) => Promise<unknown>) =>
            target.transaction(async (trx) => {
              const result = await body(trx);
              if (isFailing) throw new Error("the process is gone");
              return result;
            });
        },
      });
    const other = await EventsUnderTest.open(engine, { beside: events, wrap: failing });
    await call(track, { anonymousId: "a", event: "x" });
    isFailing = true;
    const sent = { userId: "u", anonymousId: "a", traits: '{"a":1}', messageId: "m" };
    await expect(other.call(identify, { call: sent }, as)).rejects.toThrow();
    expect(await profiles()).toMatchObject([{ anonymousId: "a", traits: "{}" }]);
    expect((await profiles())[0]?.userId).toBeUndefined();
    isFailing = false;
    await other.call(identify, { call: sent }, as);
    expect(await profiles()).toMatchObject([{ anonymousId: "a", userId: "u", traits: '{"a":1}' }]);
    expect(await names()).toEqual(["user.identified", "x"]);
    await other.close();
  });

  test("concurrent equal calls through two processes apply once", async () => {
    const other = await EventsUnderTest.open(engine, { beside: events });
    const repeated = Array.from({ length: 8 }, (_, index) => ({
      userId: "u",
      anonymousId: `a${index % 4}`,
      messageId: `m${index % 4}`,
    }));
    await Promise.all(
      repeated.flatMap((sent) => [events, other].map((one) => one.call(identify, { call: sent }, as))),
    );
    expect(await profiles()).toHaveLength(1);
    expect(await names()).toEqual(new Array(4).fill("user.identified"));
    await other.close();
  });

  test("a repeated call does not restore erased data, and new calls create a new profile", async () => {
    const calls = [
      { type: "identify", userId: "u", anonymousId: "a", traits: '{"secret":1}', messageId: "i" },
      { type: "track", userId: "u", event: "x", messageId: "t" },
      { type: "alias", userId: "u", previousId: "old", messageId: "o" },
    ];
    await events.call(batch, { batch: calls }, as);
    await events.call(ErasureService.method.eraseTrackedUser, { userId: "u" }, as);
    expect(await profiles()).toEqual([]);
    expect(await events.call(batch, { batch: calls }, as)).toMatchObject({ success: true });
    for (const { type, ...sent } of calls) {
      const method = { identify, track, alias }[type as "identify" | "track" | "alias"];
      expect(
        await call(method, type === "track" ? { ...sent, timestamp: "2020-01-01" } : sent),
      ).toMatchObject({
        success: true,
      });
    }
    expect(await profiles()).toEqual([]);
    await call(track, { userId: "u", event: "y", messageId: "new" });
    expect(await profiles()).toMatchObject([{ userId: "u", traits: "{}" }]);
    expect(await names()).toEqual(["y"]);
  });

  test("calls of another organization change nothing in this organization", async () => {
    await call(identify, { userId: "u", anonymousId: "a", traits: '{"plan":"pro"}', messageId: "i" });
    await call(track, { anonymousId: "b", event: "x", messageId: "t" });
    const before = { profiles: await profiles(), events: await stored() };
    const other = { organizationId: newOrganization() };
    const ids = { userId: "u", anonymousId: "b" };
    await call(identify, { ...ids, traits: '{"plan":null,"theirs":1}', messageId: "i" }, other);
    await call(alias, { userId: "u", previousId: "b", messageId: "t" }, other);
    await call(track, { ...ids, event: "theirs", messageId: "t2" }, other);
    await call(group, { ...ids, groupId: "theirs" }, other);
    await call(screen, { ...ids, name: "theirs" }, other);
    await events.call(page, { userId: "u", name: "theirs" }, other);
    const calls = [{ type: "track", ...ids, event: "theirs" }];
    await events.call(batch, { batch: calls }, other);
    await events.call(importCalls, { batch: calls }, other);
    expect({ profiles: await profiles(), events: await stored() }).toEqual(before);
    const theirs = await stored(other);
    expect(theirs).toHaveLength(8);
    expect(theirs.some(({ profileId }) => before.profiles.some(({ id }) => id === profileId))).toBe(false);
  });

  test.each(Object.values(TrackingService.method))(
    "$localName asks for tracking.write and nothing less",
    async (method) => {
      const request = "call" in method.input.field ? { call: { userId: "u" } } : {};
      const may = (scopes: readonly string[]) =>
        events.call(method as typeof track, request, { ...as, scopes });
      await expectReason(may(["events.read", "profiles.write"]), "PERMISSION_DENIED");
      for (const scope of ["tracking.write", "events.write"]) {
        const outcome: unknown = await may([scope]).catch((error: unknown) => error);
        expect(outcome, scope).not.toMatchObject({ reason: "PERMISSION_DENIED" });
      }
      await expectReason(events.call(method as typeof track, request, {}), "UNAUTHENTICATED");
    },
  );
});
