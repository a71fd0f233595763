// Tests the RPCs of segments: results, rejected requests, isolation of organizations, and idempotency.
import { SegmentState } from "@muster/contracts/muster/segments/v1/segment_pb";
import { AppError } from "@muster/errors";
import { ENGINES, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { membersOf, openHarness, type SegmentsClient, type SegmentsHarness } from "./segments-harness.ts";

describe.each(ENGINES)("segments on %s", (engine) => {
  let harness: SegmentsHarness;
  beforeAll(async () => {
    harness = await openHarness(engine);
  });
  afterAll(() => harness.close());

  const newClient = (): SegmentsClient => harness.first.as(harness.newOrganization());

  test("the short form is stored and returned as a full rule", async () => {
    const client = newClient();
    const request = { name: "Shoe fans", eventName: "product.viewed", minCount: 3, withinDays: 7 };
    const { segment } = await client.createSegment(request);
    expect(segment).toMatchObject({ slug: "shoe-fans", name: "Shoe fans", version: 1, memberCount: 0n });
    expect(segment?.rule?.kind).toMatchObject({
      case: "performed",
      value: {
        eventName: "product.viewed",
        count: { condition: { case: "atLeast", value: 3 } },
        window: { window: { case: "last", value: { seconds: 604_800n, nanos: 0 } } },
      },
    });
    const read = await client.getSegment({ segmentId: "shoe-fans" });
    expect(read.segment).toMatchObject({ ...segment, state: SegmentState.LIVE, progress: 1 });
    expect((await client.getSegment({ segmentId: segment?.id ?? "" })).segment).toEqual(read.segment);
  });

  test("a rule is returned as it was written", async () => {
    const client = newClient();
    const rule = {
      kind: {
        case: "performed" as const,
        value: {
          eventName: "a 'quoted' ém ",
          count: { condition: { case: "atLeast" as const, value: 2 } },
          window: { window: { case: "last" as const, value: { seconds: 1n, nanos: 5_000_000 } } },
        },
      },
    };
    await client.createSegment({ name: "Own", rule });
    expect((await client.getSegment({ segmentId: "own" })).segment?.rule).toMatchObject(rule);
  });

  test.each([
    { request: { name: "", eventName: "a", minCount: 1 }, field: "name" },
    { request: { name: "!!!", eventName: "a", minCount: 1 }, field: "name" },
    { request: { name: "x".repeat(256), eventName: "a", minCount: 1 }, field: "name" },
    { request: { name: "019b7c01-0017-7d7c-80d3-b7d8cbb0c545", eventName: "a", minCount: 1 }, field: "name" },
    { request: { name: "A", minCount: 1 }, field: "event_name" },
    { request: { name: "A", eventName: "", minCount: 1 }, field: "event_name" },
    { request: { name: "A", eventName: "a" }, field: "min_count" },
    { request: { name: "A", eventName: "a", minCount: 0 }, field: "min_count" },
    { request: { name: "A", eventName: "a", minCount: -1 }, field: "min_count" },
    { request: { name: "A", eventName: "a", minCount: 1001, withinDays: 1 }, field: "min_count" },
    { request: { name: "A", eventName: "a", minCount: 1, withinDays: 0 }, field: "within_days" },
    { request: { name: "A", eventName: "a", minCount: 1, withinDays: 4000 }, field: "within_days" },
    { request: { name: "A", minCount: 1, rule: {} }, field: "rule" },
    {
      request: {
        name: "A",
        rule: { kind: { case: "performed" as const, value: { eventName: "a" } } },
      },
      field: "rule.performed.count",
    },
    {
      request: {
        name: "A",
        rule: {
          kind: {
            case: "performed" as const,
            value: {
              eventName: "a",
              count: { condition: { case: "atLeast" as const, value: 1 } },
              window: { window: { case: "last" as const, value: { seconds: 1n, nanos: 1 } } },
            },
          },
        },
      },
      field: "rule.performed.window.last",
    },
  ])("$request.name, $field: rejected with the field, and nothing is stored", async ({ request, field }) => {
    const client = newClient();
    const { fields } = await expectReason(client.createSegment(request), "FIELD_INVALID");
    expect(fields.map((one) => one.field)).toContain(field);
    expect((await client.listSegments({})).segments).toHaveLength(1);
  });

  test("a count without a window has no upper limit", async () => {
    const client = newClient();
    await client.createSegment({ name: "Fanatics", eventName: "a", minCount: 2 ** 31 - 1 });
    expect(await membersOf(client, "fanatics")).toEqual([]);
  });

  test("slugs keep letters of any script, are unique, and work in place of the id", async () => {
    const client = newClient();
    for (const [name, slug] of [
      ["Ünïcode — Käufer", "ünïcode-käufer"],
      ["  買い物 好き  ", "買い物-好き"],
      ["हिन्दी 2", "हिन्दी-2"],
    ] as const) {
      expect((await client.createSegment({ name, eventName: "a", minCount: 1 })).segment?.slug).toBe(slug);
      expect((await client.getSegment({ segmentId: slug })).segment?.name).toBe(name);
    }
    const again = client.createSegment({ name: "Ünïcode Käufer!", eventName: "b", minCount: 1 });
    await expectReason(again, "SEGMENT_NAME_TAKEN", { fields: [{ field: "name" }] });
  });

  test("concurrent calls with the same name create one segment", async () => {
    const client = newClient();
    const calls = Array.from({ length: 6 }, () =>
      client.createSegment({ name: "Race", eventName: "a", minCount: 1 }),
    );
    const outcomes = await Promise.allSettled(calls);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await client.listSegments({})).segments.map(({ slug }) => slug)).toEqual([
      "abandoned-cart",
      "race",
    ]);
  });

  test("abandoned-cart is created once, and stays deleted", async () => {
    const client = newClient();
    const first = await Promise.all(Array.from({ length: 5 }, () => client.listSegments({})));
    for (const { segments } of first) expect(segments.map(({ slug }) => slug)).toEqual(["abandoned-cart"]);
    expect((await client.getSegment({ segmentId: "abandoned-cart" })).segment?.state).toBe(SegmentState.LIVE);
    await client.deleteSegment({ segmentId: "abandoned-cart" });
    expect((await client.listSegments({})).segments).toEqual([]);
    await expectReason(client.deleteSegment({ segmentId: "abandoned-cart" }), "SEGMENT_NOT_FOUND");
  });

  test("two calls with one Idempotency-Key create one segment", async () => {
    const organizationId = harness.newOrganization();
    const client = harness.first.as(organizationId, { "idempotency-key": "key-1" });
    const request = { name: "Once", eventName: "a", minCount: 1 };
    const first = await client.createSegment(request);
    expect(await client.createSegment(request)).toEqual(first);
    const other = client.createSegment({ ...request, minCount: 2 });
    await expectReason(other, "IDEMPOTENCY_KEY_REUSED");
    expect((await harness.first.as(organizationId).listSegments({})).segments).toHaveLength(2);
  });

  test("lists have pages, oldest first; a page token is valid for its own list only", async () => {
    const client = newClient();
    for (let index = 0; index < 5; index += 1) {
      await client.createSegment({ name: `S ${index}`, eventName: "a", minCount: 1 });
      harness.clock.setNowMs(harness.clock.nowMs() + 1);
    }
    const first = await client.listSegments({ pageSize: 4 });
    expect(first.segments.map(({ slug }) => slug)).toEqual(["abandoned-cart", "s-0", "s-1", "s-2"]);
    const rest = await client.listSegments({ pageSize: 4, pageToken: first.nextPageToken });
    expect(rest.segments.map(({ slug }) => slug)).toEqual(["s-3", "s-4"]);
    expect(rest.nextPageToken).toBe("");
    const garbled = client.listSegments({ pageToken: `${first.nextPageToken}x` });
    await expectReason(garbled, "PAGE_TOKEN_INVALID");
    const foreign = newClient().listSegments({ pageToken: first.nextPageToken });
    await expectReason(foreign, "PAGE_TOKEN_INVALID");
    const elsewhere = client.listSegmentMembers({ segmentId: "s-0", pageToken: first.nextPageToken });
    await expectReason(elsewhere, "PAGE_TOKEN_INVALID");
  });

  test("an organization has at most 1,000 segments", async () => {
    const organizationId = harness.newOrganization();
    const client = harness.first.as(organizationId);
    await client.listSegments({});
    const key = Buffer.from(organizationId.replaceAll("-", ""), "hex");
    await harness.database.transaction((trx) =>
      trx("organizations").where("organization_id", key).update({ segment_count: 999 }),
    );
    await client.createSegment({ name: "The last", eventName: "a", minCount: 1 });
    const more = client.createSegment({ name: "One more", eventName: "a", minCount: 1 });
    await expectReason(more, "SEGMENT_LIMIT_REACHED");
  });

  test("windows that would store too many instants of a profile are rejected", async () => {
    const client = newClient();
    const create = (index: number, minCount: number) =>
      client.createSegment({ name: `W ${index}`, eventName: `e${index}`, minCount, withinDays: 1 });
    for (let index = 0; index < 49; index += 1) await create(index, 1000);
    await expectReason(create(49, 1000), "SEGMENT_LIMIT_REACHED");
    await create(50, 500);
    // Equal matchers share their stored instants.
    await client.createSegment({ name: "Shared", eventName: "e0", minCount: 900, withinDays: 2 });
  });

  test("predicates that may take too long together on one event are rejected", async () => {
    const client = newClient();
    const create = (name: string, leaves: number) => {
      const rules = Array.from({ length: leaves }, (_, index) => ({
        kind: {
          case: "performed" as const,
          value: {
            eventName: "a",
            where: `properties.a.contains(properties.b + "${name} ${index}")`,
            count: { condition: { case: "atLeast" as const, value: 1 } },
          },
        },
      }));
      return client.createSegment({ name, rule: { kind: { case: "any", value: { rules } } } });
    };
    for (let index = 0; index < 32; index += 1) await create(`Costly ${index}`, 32);
    await expectReason(create("One more", 1), "SEGMENT_LIMIT_REACHED");
    await client.createSegment({ name: "Plain", eventName: "a", minCount: 1 });
    const rule = { kind: { case: "trait" as const, value: { where: "traits.a.contains(traits.b)" } } };
    const update = { segmentId: "plain", segment: { rule }, updateMask: { paths: ["rule"] } };
    await expectReason(client.updateSegment(update), "SEGMENT_LIMIT_REACHED");
  });

  test("lists the segments of a profile, and the profile's fields among the members", async () => {
    const organizationId = harness.newOrganization();
    const client = harness.first.as(organizationId);
    await client.createSegment({ name: "Viewers", eventName: "viewed", minCount: 1 });
    const [ada, bo] = [harness.newProfile(), harness.newProfile()];
    harness.events.addProfile(organizationId, bo);
    const ms = harness.clock.nowMs();
    await harness.events.submit([
      { organizationId, profileId: ada, name: "viewed", ms },
      { organizationId, profileId: ada, name: "cart.added", ms },
    ]);
    const { segments } = await client.listProfileSegments({ profileId: ada });
    expect(segments.map(({ slug, memberCount }) => [slug, memberCount])).toEqual([
      ["abandoned-cart", 1n],
      ["viewers", 1n],
    ]);
    const page = await client.listProfileSegments({ profileId: ada, pageSize: 1 });
    const next = await client.listProfileSegments({ profileId: ada, pageToken: page.nextPageToken });
    expect([...page.segments, ...next.segments].map(({ slug }) => slug)).toEqual([
      "abandoned-cart",
      "viewers",
    ]);
    expect((await client.listProfileSegments({ profileId: bo })).segments).toEqual([]);
    for (const profileId of [harness.newProfile(), "nobody", ""]) {
      await expectReason(client.listProfileSegments({ profileId }), "PROFILE_NOT_FOUND");
    }
    const { profiles } = await client.listSegmentMembers({ segmentId: "viewers" });
    expect(profiles).toMatchObject([{ id: ada, userId: `user of ${ada}`, traits: "{}" }]);
    expect(Number(profiles[0]?.enteredAt?.seconds) * 1000).toBe(Math.floor(ms / 1000) * 1000);
  });

  test("another organization cannot list, read or delete a segment", async () => {
    const [mine, theirs] = [newClient(), newClient()];
    const { segment } = await mine.createSegment({ name: "Mine", eventName: "a", minCount: 1 });
    for (const segmentId of [segment?.id ?? "", "mine"]) {
      const calls = [
        theirs.getSegment({ segmentId }),
        theirs.deleteSegment({ segmentId }),
        theirs.listSegmentMembers({ segmentId }),
      ];
      await Promise.all(calls.map((call) => expectReason(call, "SEGMENT_NOT_FOUND")));
    }
    expect((await theirs.listSegments({})).segments.map(({ slug }) => slug)).toEqual(["abandoned-cart"]);
    await theirs.createSegment({ name: "Mine", eventName: "b", minCount: 1 });
    const organizationId = harness.newOrganization();
    const profileId = harness.newProfile();
    harness.events.addProfile(organizationId, profileId);
    await expectReason(theirs.listProfileSegments({ profileId }), "PROFILE_NOT_FOUND");
    expect((await mine.getSegment({ segmentId: "mine" })).segment?.id).toBe(segment?.id);
  });

  test("a read ends after ten seconds though the events service does not respond", async () => {
    const client = newClient();
    await client.listSegments({});
    harness.events.beforePositions = () => new Promise<never>(() => {});
    const startMs = harness.clock.monotonicMs();
    let outcome: unknown;
    client.getSegment({ segmentId: "abandoned-cart" }).catch((error: unknown) => {
      outcome = error;
    });
    try {
      await waitFor(async () => {
        await harness.clock.advance(100);
        return outcome;
      });
      expect(outcome).toMatchObject({ reason: "NOT_YET_CONSISTENT", retryAfterMs: 1000 });
      expect(harness.clock.monotonicMs() - startMs).toBeLessThanOrEqual(11_000);
    } finally {
      harness.events.beforePositions = async () => {};
    }
  });

  test("a read that cannot become consistent before its deadline fails", async () => {
    const client = newClient();
    await client.listSegments({});
    harness.events.beforePositions = async () => {
      throw new AppError("UNAVAILABLE");
    };
    try {
      await expectReason(client.getSegment({ segmentId: "abandoned-cart" }), "UNAVAILABLE");
    } finally {
      harness.events.beforePositions = async () => {};
    }
    await waitFor(async () => (await client.listSegments({})).segments.length === 1);
  });
});
