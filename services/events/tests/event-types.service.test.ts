// Tests the event catalog of an organization: the default types and the changes of the organization.
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import type { OrganizationId } from "@muster/core";
import { ENGINES } from "@muster/testkit";
import { expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const { listEventTypes, createEventType, getEventType, updateEventType, deleteEventType } =
  EventTypeService.method;

describe.each(ENGINES)("event types on %s", (engine) => {
  let events: EventsUnderTest;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
  });
  afterAll(() => events.close());

  const typesOf = async (organizationId: OrganizationId) => {
    const { eventTypes } = await events.call(listEventTypes, {}, { organizationId });
    return eventTypes.map(({ name, price }) => [name, price]);
  };

  test("start with the defaults of the installation, and change for one organization only", async () => {
    const organizationId = newOrganization();
    const defaults = [
      ["LOGIN", 1],
      ["PURCHASE", 10],
      ["REFERRAL", 20],
    ];
    expect(await typesOf(organizationId)).toEqual(defaults);
    const as = { organizationId };
    const login = { price: 0.25, description: "Came by" };
    const { eventType } = await events.call(updateEventType, { name: "LOGIN", eventType: login }, as);
    expect(eventType).toMatchObject({ name: "LOGIN", ...login });
    await events.call(deleteEventType, { name: "PURCHASE" }, as);
    await events.call(createEventType, { name: "Zürich", price: 7, description: "A trip" }, as);
    expect(await typesOf(organizationId)).toEqual([
      ["LOGIN", 0.25],
      ["REFERRAL", 20],
      ["Zürich", 7],
    ]);
    await expectReason(events.call(getEventType, { name: "PURCHASE" }, as), "EVENT_TYPE_NOT_FOUND");
    expect(await typesOf(newOrganization())).toEqual(defaults);
  });

  test("can be added again after a deletion, for both default and own types", async () => {
    const as = { organizationId: newOrganization() };
    for (const name of ["LOGIN", "own"]) {
      if (name === "own") await events.call(createEventType, { name, price: 1 }, as);
      await events.call(deleteEventType, { name }, as);
      await expectReason(events.call(deleteEventType, { name }, as), "EVENT_TYPE_NOT_FOUND");
      await events.call(createEventType, { name, price: 3 }, as);
      expect((await events.call(getEventType, { name }, as)).eventType?.price).toBe(3);
    }
  });

  test("change by mask: other fields stay, and a cleared description is empty", async () => {
    const as = { organizationId: newOrganization() };
    await events.call(createEventType, { name: "T", price: 1.5, description: "before" }, as);
    const changed = await events.call(
      updateEventType,
      { name: "T", eventType: { price: 9 }, updateMask: { paths: ["description"] } },
      as,
    );
    expect(changed.eventType).toMatchObject({ price: 1.5, description: "" });
    const nothing = await events.call(updateEventType, { name: "T" }, as);
    expect(nothing.eventType).toMatchObject({ price: 1.5, description: "" });
    const refused: [object, string][] = [
      [{ updateMask: { paths: ["price"] } }, "event_type.price"],
      [{ eventType: { price: -1 } }, "event_type.price"],
      [{ updateMask: { paths: ["name"] } }, "update_mask"],
    ];
    for (const [request, field] of refused) {
      await expect(events.call(updateEventType, { name: "T", ...request }, as)).rejects.toMatchObject({
        fields: [{ field }],
      });
    }
  });

  test.each([
    ["no name", { price: 1 }, "name"],
    ["a long name", { name: "ä".repeat(128), price: 1 }, "name"],
    ["half a character", { name: "\ud800", price: 1 }, "name"],
    ["a long description", { name: "bad", price: 1, description: "x".repeat(1025) }, "description"],
    ["no price", { name: "bad" }, "price"],
    ["a price below none", { name: "bad", price: -0.1 }, "price"],
    ["a price that is none", { name: "bad", price: Number.NaN }, "price"],
    ["an endless price", { name: "bad", price: Number.POSITIVE_INFINITY }, "price"],
    ["a price of seven decimals", { name: "bad", price: 0.1234567 }, "price"],
    ["a price over a billion", { name: "bad", price: 1_000_000_001 }, "price"],
  ])("refuses %s", async (_, request, field) => {
    const organizationId = newOrganization();
    await expectReason(events.call(createEventType, request, { organizationId }), "FIELD_INVALID", {
      fields: [{ field }],
    });
    expect(await typesOf(organizationId)).toHaveLength(3);
  });

  test("with one name are created once by twenty concurrent calls", async () => {
    const as = { organizationId: newOrganization() };
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, (_, price) => events.call(createEventType, { name: "race", price }, as)),
    );
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of all) {
      if (one.status === "rejected") expect(one.reason).toMatchObject({ reason: "EVENT_TYPE_EXISTS" });
    }
  });

  test("are limited to 1,000, also for concurrent calls, and are listed in pages by name", async () => {
    const as = { organizationId: newOrganization() };
    const name = (index: number) => `T${String(index).padStart(4, "0")}`;
    for (let start = 0; start < 1010; start += 101) {
      const settled = await Promise.allSettled(
        Array.from({ length: 101 }, (_, index) =>
          events.call(createEventType, { name: name(start + index), price: 1 }, as),
        ),
      );
      for (const one of settled) {
        if (one.status === "rejected")
          expect(one.reason).toMatchObject({ reason: "EVENT_TYPE_LIMIT_REACHED" });
      }
    }
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await events.call(listEventTypes, { pageSize: 300, pageToken }, as);
      names.push(...page.eventTypes.map((type) => type.name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toHaveLength(1000);
    expect(names).toEqual([...new Set(names)].sort());
    const other = { organizationId: newOrganization() };
    const first = await events.call(listEventTypes, { pageSize: 1 }, other);
    await expectReason(
      events.call(listEventTypes, { pageToken: first.nextPageToken }, as),
      "PAGE_TOKEN_INVALID",
    );
  });

  test("are returned again for the same idempotency key", async () => {
    const as = { organizationId: newOrganization(), idempotencyKey: "add" };
    const request = { name: "kept", price: 2 };
    const first = await events.call(createEventType, request, as);
    expect(await events.call(createEventType, request, as)).toEqual(first);
  });
});
