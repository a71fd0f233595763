// Tests ProvisionSegments: the first segments of a provisioned organization, once and for ever.
import { OrganizationErasureService } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { ENGINES, findInTables, waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { membersOf, openHarness, type SegmentsHarness } from "./segments-harness.ts";

const DAY_MS = 86_400_000;
const SLUGS = [
  "abandoned-cart",
  "active-in-the-last-7-days",
  "active-on-5-of-the-last-30-days",
  "inactive-for-30-days",
];

describe.each(ENGINES)("ProvisionSegments on %s", (engine) => {
  let harness: SegmentsHarness;

  beforeAll(async () => {
    harness = await openHarness(engine);
  });
  afterAll(() => harness.close());

  async function provision(organizationId: OrganizationId): Promise<void> {
    const client = harness.first.client(SegmentProvisioningService, { service: "identity" });
    await client.provisionSegments({ organizationId: uuidToBytes(organizationId) });
  }

  async function slugsOf(organizationId: OrganizationId): Promise<string[]> {
    const { segments } = await harness.first.as(organizationId).listSegments({});
    return segments.map(({ slug }) => slug).sort();
  }

  test("calls at once and repeated calls make the segments once", async () => {
    const organizationId = harness.newOrganization();
    await Promise.all([1, 2, 3].map(() => provision(organizationId)));
    expect(await slugsOf(organizationId)).toEqual(SLUGS);
    await provision(organizationId);
    expect(await slugsOf(organizationId)).toEqual(SLUGS);
    expect(await slugsOf(harness.newOrganization())).toEqual(["abandoned-cart"]);
  });

  test("a deleted segment does not come back with a late call", async () => {
    const organizationId = harness.newOrganization();
    await provision(organizationId);
    const client = harness.first.as(organizationId);
    await client.deleteSegment({ segmentId: "inactive-for-30-days" });
    await provision(organizationId);
    expect(await slugsOf(organizationId)).toEqual(SLUGS.filter((slug) => !slug.startsWith("inactive")));
  });

  test("an erasure ends the segments, and a call that arrives late makes none", async () => {
    const [early, late] = [harness.newOrganization(), harness.newOrganization()];
    await provision(early);
    const eraser = () => harness.first.client(OrganizationErasureService, { service: "identity" });
    for (const organizationId of [early, late]) {
      const request = { organizationId: uuidToBytes(organizationId) };
      await eraser().eraseOrganization(request);
      await waitFor(async () => (await eraser().eraseOrganization(request)).isErased);
      await provision(organizationId);
      expect(await slugsOf(organizationId)).toEqual([]);
    }
  });

  test("messages that arrive after an erasure have no effect, and the second sweep removes their profiles", async () => {
    const [closed, kept] = [harness.newOrganization(), harness.newOrganization()];
    const [known, into] = [harness.newProfile(), harness.newProfile()];
    const [late, neighbor] = [harness.newProfile(), harness.newProfile()];
    for (const organizationId of [closed, kept]) await provision(organizationId);
    await addToCart(closed, [known, into]);
    expect(await membersOf(harness.first.as(closed), "abandoned-cart")).toEqual([known, into].sort());
    const bytes = uuidToBytes(closed);
    await untilErased(closed, "isErased");
    const ended = ["closed_organizations.organization_id", "organizations.organization_id"];
    expect(await findInTables(harness.database, bytes)).toEqual(ended);
    // Messages of a producer that was behind: of known and new profiles, and changes of profiles.
    await addToCart(closed, [known, late]);
    await harness.events.merge(closed, known, into);
    await harness.events.erase(closed, late);
    await addToCart(kept, [neighbor]);
    // A read waits until every earlier message is applied.
    expect(await slugsOf(closed)).toEqual([]);
    expect(await membersOf(harness.first.as(kept), "abandoned-cart")).toEqual([neighbor]);
    const found = new Set(await findInTables(harness.database, bytes));
    // Until the events service has received the report.
    found.delete("erasure_reports.organization_id");
    expect([...found]).toEqual([...ended, "profile_states.organization_id"]);
    await harness.database.transaction((trx) =>
      trx("closed_organizations").where("organization_id", bytes).update({ next_sweep_ms: 0 }),
    );
    await untilErased(closed, "isFinal");
    expect(await findInTables(harness.database, bytes)).toEqual(ended);
    for (const id of [known, into, late]) {
      expect(await findInTables(harness.database, uuidToBytes(id))).toEqual([]);
    }
    expect(await membersOf(harness.first.as(kept), "abandoned-cart")).toEqual([neighbor]);
  });

  function addToCart(organizationId: OrganizationId, profileIds: readonly ProfileId[]): Promise<void> {
    const event = { organizationId, name: "cart.added", ms: harness.clock.nowMs() };
    return harness.events.submit(profileIds.map((profileId) => ({ ...event, profileId })));
  }

  async function untilErased(organizationId: OrganizationId, step: "isErased" | "isFinal"): Promise<void> {
    const client = harness.first.client(OrganizationErasureService, { service: "identity" });
    await waitFor(async () => {
      const progress = await client.eraseOrganization({ organizationId: uuidToBytes(organizationId) });
      // The sweep waits for the relay, and the second sweep for the next poll.
      await harness.clock.advance(500);
      return progress[step];
    });
  }

  test("the segments select people by their activity", async () => {
    const organizationId = harness.newOrganization();
    await provision(organizationId);
    const [today, regular, longAgo] = [harness.newProfile(), harness.newProfile(), harness.newProfile()];
    const nowMs = harness.clock.nowMs();
    const event = (profileId: typeof today, daysAgo: number) => {
      return { organizationId, name: `event.${daysAgo}`, profileId, ms: nowMs - daysAgo * DAY_MS };
    };
    const days = [8, 9, 10, 20, 29];
    await harness.events.submit([
      event(today, 0),
      ...days.map((daysAgo) => event(regular, daysAgo)),
      event(longAgo, 40),
      event(longAgo, 35),
    ]);
    const members = (slug: string) => membersOf(harness.first.as(organizationId), slug);
    expect(await members("active-in-the-last-7-days")).toEqual([today]);
    expect(await members("active-on-5-of-the-last-30-days")).toEqual([regular]);
    expect(await members("inactive-for-30-days")).toEqual([longAgo]);
  });
});
