// Tests ProvisionSegments: the first segments of a provisioned organization, once and for ever.
import { OrganizationErasureService } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { type OrganizationId, uuidToBytes } from "@muster/core";
import { ENGINES, waitFor } from "@muster/testkit";
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
