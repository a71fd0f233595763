// Tests the erasure of a closed organization: no data is left in any table, and other organizations keep theirs.
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { OrganizationErasureService } from "@muster/contracts/muster/events/v1/organization_erasure_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { type OrganizationId, systemClock, uuidToBytes } from "@muster/core";
import { columnsOf, ENGINES, findInTables, waitFor } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { organizationContent } from "../src/organization-erasure/organization-content.ts";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { createProfile, listProfiles } = ProfileService.method;
const { recordEvent, listEvents } = EventService.method;
const { eraseOrganization } = OrganizationErasureService.method;

describe.each(ENGINES)("the erasure of an organization on %s", (engine) => {
  let events: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine, { clock: systemClock });
  });
  afterAll(() => events.close());

  const erase = (organizationId: OrganizationId, service = "identity") =>
    events.call(eraseOrganization, { organizationId: uuidToBytes(organizationId) }, { service });

  async function recordData(organizationId: OrganizationId, mark: string): Promise<void> {
    const as = { organizationId };
    await events.call(createProfile, { userId: mark, name: mark, traits: JSON.stringify({ mark }) }, as);
    for (const name of [`${mark} bought`, "page.viewed", "withdraw"]) {
      const identity = { case: "userId" as const, value: mark };
      const properties = JSON.stringify({ name: mark, amount: "500.00", time: 5 });
      await events.call(
        recordEvent,
        { event: { identity, name, properties, eventId: `${mark}-${name}` } },
        as,
      );
    }
  }

  test("no data of the organization is left, and the neighbor keeps all data", async () => {
    const [closed, kept] = [newOrganization(), newOrganization()];
    await recordData(closed, "gone-for-good");
    await recordData(kept, "still-here");
    const profile = await events.call(createProfile, { userId: "erased-before" }, { organizationId: closed });
    const erasing = { profileId: profile.profile?.id ?? "" };
    await events.call(ErasureService.method.eraseProfile, erasing, { organizationId: closed });
    const keptProfiles = await events.call(listProfiles, {}, { organizationId: kept });
    const reading = { profileId: keptProfiles.profiles[0]?.id ?? "" };
    const before = await events.call(listEvents, reading, { organizationId: kept });
    expect(before.events).toHaveLength(3);
    expect(await findInTables(events.database, "gone-for-good")).not.toEqual([]);

    await expectReason(erase(closed, "segments"), "PERMISSION_DENIED");
    expect(await erase(closed)).toMatchObject({ isErased: false, isFinal: false });
    await waitFor(async () => (await erase(closed)).isErased, { timeoutMs: 30_000, what: "the first sweep" });
    expect(await findInTables(events.database, "gone-for-good")).toEqual([]);
    expect(await findInTables(events.database, uuidToBytes(closed))).toEqual([
      "closed_organizations.organization_id",
    ]);
    expect(await events.call(listEvents, reading, { organizationId: kept })).toEqual(before);
    expect(await events.call(listProfiles, {}, { organizationId: kept })).toEqual(keptProfiles);
    expect(await erase(closed)).toMatchObject({ isErased: true, isFinal: false });
  });

  test("the second sweep finds what a late request has stored", async () => {
    const closed = newOrganization();
    await erase(closed);
    await waitFor(async () => (await erase(closed)).isErased, { timeoutMs: 30_000, what: "the first sweep" });
    await recordData(closed, "came-late");
    expect(await findInTables(events.database, "came-late")).not.toEqual([]);
    await events.database.transaction(async (trx) => {
      await trx("closed_organizations")
        .where("organization_id", uuidToBytes(closed))
        .update({ next_sweep_ms: 0 });
    });
    await waitFor(async () => (await erase(closed)).isFinal, { timeoutMs: 30_000, what: "the last sweep" });
    expect(await findInTables(events.database, "came-late")).toEqual([]);
  });

  test("every table with a column of organizations is erased", async () => {
    const erased = organizationContent.tables.map(({ table }) => table);
    for (const [table, columns] of await columnsOf(events.database)) {
      if (!columns.includes("organization_id") || table === "closed_organizations") continue;
      expect(erased, table).toContain(table);
    }
  });
});
