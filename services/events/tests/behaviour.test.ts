// Page views and points through the service, on both engines.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { BehaviourService } from "@muster/contracts/muster/events/v1/behaviour_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES, FakeClock } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { recordUserEvent, listUserPoints, getUserSummary } = BehaviourService.method;
const { recordEvent, batchRecordEvents } = EventService.method;
const HOUR_MS = 3_600_000;

describe.each(ENGINES)("behaviour on %s", (engine) => {
  const clock = new FakeClock();
  let events: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock });
  });
  afterAll(() => events.close());

  const view = (organizationId: OrganizationId, user: string, page: string | undefined, atMs: number) =>
    events.call(
      recordEvent,
      {
        event: {
          identity: { case: "userId", value: user },
          name: "page.viewed",
          properties: JSON.stringify({ name: page }),
          timestamp: timestampFromMs(atMs),
        },
      },
      { organizationId },
    );
  const summaryOf = async (organizationId: OrganizationId, userId: string) => {
    const { $typeName: _, ...summary } = await events.call(getUserSummary, { userId }, { organizationId });
    return summary;
  };

  test("a summary has what was just viewed, and lets it go as the window slides", async () => {
    const organizationId = newOrganization();
    const nowMs = clock.nowMs();
    await expect(summaryOf(organizationId, "u")).rejects.toMatchObject({ reason: "PROFILE_NOT_FOUND" });
    await view(organizationId, "u", "Home", nowMs - 168 * HOUR_MS);
    await view(organizationId, "u", "Pricing", nowMs);
    await view(organizationId, "u", undefined, nowMs - 29 * 60_000);
    await view(organizationId, "u", "Due later", nowMs + 1);
    expect(await summaryOf(organizationId, "u")).toEqual({
      userId: "u",
      numberPagesViewedInTheLast7Days: 3n,
      timeSpentOnSiteInLast7Days: 29n,
      numberOfDaysActiveInLast7Days: 2,
      mostViewedPageInLast7Days: "Pricing",
    });
    clock.advance(1);
    expect(await summaryOf(organizationId, "u")).toMatchObject({
      numberPagesViewedInTheLast7Days: 3n,
      mostViewedPageInLast7Days: "Due later",
    });
    clock.advance(169 * HOUR_MS);
    expect(await summaryOf(organizationId, "u")).toEqual({
      userId: "u",
      numberPagesViewedInTheLast7Days: 0n,
      timeSpentOnSiteInLast7Days: 0n,
      numberOfDaysActiveInLast7Days: 0,
    });
    await expect(summaryOf(newOrganization(), "u")).rejects.toMatchObject({ reason: "PROFILE_NOT_FOUND" });
  });
});
