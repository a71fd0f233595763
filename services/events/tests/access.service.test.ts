// Tests permissions and the isolation of organizations for every method. The methods come from the
// descriptors, so that the list is complete.
import { create, type DescMethod, getOption } from "@bufbuild/protobuf";
import { EVERY_KEY_PERMISSION, permissionsOf } from "@muster/authz";
import { AlertRuleKind } from "@muster/contracts/muster/events/v1/alert_pb";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { Access, policy } from "@muster/contracts/muster/options/v1/options_pb";
import type { OrganizationId } from "@muster/core";
import type { ReasonName } from "@muster/errors";
import { ENGINES } from "@muster/testkit";
import { type CallAs, expectReason } from "@muster/testkit/module";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EventsUnderTest, newOrganization } from "./events-under-test.ts";

const METHODS = [
  AlertService,
  ErasureService,
  ExportService,
  ProfileService,
  EventService,
  EventFeedService,
  BehaviorService,
  EventTypeService,
].flatMap(({ methods }) => [...methods] as DescMethod[]);
const DEFAULT_TYPES = ["LOGIN", "PURCHASE", "REFERRAL"].map((name) => ({ name }));
const DEFAULT_CODES = [30, 123, 300, 1100].map((code) => ({ code }));
const isInternal = (method: DescMethod): boolean => getOption(method, policy).access === Access.INTERNAL;
const PUBLIC = METHODS.filter((method) => !isInternal(method));
const INTERNAL = METHODS.filter(isInternal);

describe.each(ENGINES)("access to events on %s", (engine) => {
  let events: EventsUnderTest;
  const mine: OrganizationId = newOrganization();
  const other: OrganizationId = newOrganization();
  let profileId: string;
  let alertRuleId: string;
  let erasureId: string;

  beforeAll(async () => {
    events = await EventsUnderTest.open(engine);
    const event = { identity: { case: "userId" as const, value: "13" }, name: "seen", eventId: "e1" };
    const response = await events.call(EventService.method.recordEvent, { event }, { organizationId: mine });
    profileId = response.event?.profileId ?? "";
    const own = { organizationId: mine };
    await events.call(EventTypeService.method.createEventType, { name: "OURS", price: 1 }, own);
    const userEvent = { userId: "ours", eventType: "OURS", timestamp: 1n };
    await events.call(BehaviorService.method.recordTrackedUserEvent, userEvent, own);
    await events.call(ProfileService.method.createProfile, { userId: "77" }, own);
    const withdrawal = { type: "withdraw", amount: "101", userId: 77n, time: 0n };
    await events.call(AlertService.method.recordAction, withdrawal, own);
    await events.call(ProfileService.method.createProfile, { userId: "gone" }, own);
    const erased = await events.callWithHeaders(
      ErasureService.method.eraseTrackedUser,
      { userId: "gone" },
      own,
    );
    erasureId = erased.headers.get("muster-erasure-id") ?? "";
    const { alertRules } = await events.call(AlertService.method.listAlertRules, {}, own);
    alertRuleId = alertRules[0]?.id ?? "";
  });
  afterAll(() => events.close());

  const sameUser = { identity: { case: "userId" as const, value: "13" }, name: "other", eventId: "e1" };
  const byProfileId = () => ({ identity: { case: "profileId" as const, value: profileId }, name: "seen" });
  /** A valid request of each method for data of `mine`, and the response that `other` receives. */
  const requests: Record<string, { request: () => object; foreign: object | ReasonName }> = {
    createProfile: { request: () => ({ userId: "13" }), foreign: { profile: { userId: "13" } } },
    getProfile: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    listProfiles: { request: () => ({ userId: "14" }), foreign: { profiles: [] } },
    updateProfile: { request: () => ({ profileId, profile: { name: "x" } }), foreign: "PROFILE_NOT_FOUND" },
    mergeProfile: {
      request: () => ({ profileId, into: "01890000-0000-7000-8000-000000000000" }),
      foreign: "PROFILE_NOT_FOUND",
    },
    unmergeProfile: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    eraseProfile: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    eraseTrackedUser: { request: () => ({ userId: "77" }), foreign: {} },
    getErasure: { request: () => ({ erasureId }), foreign: "ERASURE_NOT_FOUND" },
    listErasures: { request: () => ({}), foreign: { erasures: [] } },
    exportProfile: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    getProfileExport: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    recordEvent: { request: () => ({ event: byProfileId() }), foreign: "PROFILE_NOT_FOUND" },
    recordProfileEvent: { request: () => ({ profileId, name: "seen" }), foreign: "PROFILE_NOT_FOUND" },
    batchRecordEvents: {
      request: () => ({ events: [byProfileId(), sameUser] }),
      foreign: { results: [{ error: { code: "not_found" } }, { eventId: "e1", status: 1 }] },
    },
    ingestEvents: {
      request: () => ({ sequence: 1n, event: byProfileId() }),
      foreign: { failures: [{ sequence: 1n, error: { code: "not_found" } }] },
    },
    listEvents: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
    recordTrackedUserEvent: {
      request: () => ({ userId: "13", eventType: "OURS", timestamp: 1n }),
      foreign: "FIELD_INVALID",
    },
    listTrackedUserPoints: { request: () => ({ userId: "ours" }), foreign: { data: [] } },
    getTrackedUserSummary: { request: () => ({ userId: "ours" }), foreign: "PROFILE_NOT_FOUND" },
    listEventTypes: { request: () => ({}), foreign: { eventTypes: DEFAULT_TYPES } },
    createEventType: {
      request: () => ({ name: "THEIRS", price: 1 }),
      foreign: { eventType: { name: "THEIRS" } },
    },
    getEventType: { request: () => ({ name: "OURS" }), foreign: "EVENT_TYPE_NOT_FOUND" },
    updateEventType: {
      request: () => ({ name: "OURS", eventType: { price: 0 } }),
      foreign: "EVENT_TYPE_NOT_FOUND",
    },
    deleteEventType: { request: () => ({ name: "OURS" }), foreign: "EVENT_TYPE_NOT_FOUND" },
    recordAction: {
      request: () => ({ type: "deposit", amount: "1", userId: 77n, time: 0n }),
      foreign: "PROFILE_NOT_FOUND",
    },
    listAlerts: { request: () => ({ userId: "77" }), foreign: { alerts: [] } },
    listAlertRules: { request: () => ({}), foreign: { alertRules: DEFAULT_CODES } },
    createAlertRule: {
      request: () => ({
        code: 9,
        name: "Nine",
        kind: AlertRuleKind.THRESHOLD,
        eventName: "deposit",
        property: "amount",
        threshold: "9",
      }),
      foreign: { alertRule: { code: 9 } },
    },
    getAlertRule: { request: () => ({ alertRuleId }), foreign: "ALERT_RULE_NOT_FOUND" },
    updateAlertRule: {
      request: () => ({ alertRuleId, alertRule: { name: "x" } }),
      foreign: "ALERT_RULE_NOT_FOUND",
    },
    deleteAlertRule: { request: () => ({ alertRuleId }), foreign: "ALERT_RULE_NOT_FOUND" },
    tailEvents: { request: () => ({ profileId }), foreign: "PROFILE_NOT_FOUND" },
  };

  /** Returns the first response of any method. */
  async function first(method: DescMethod, request: object, as: CallAs): Promise<unknown> {
    const cut = new AbortController();
    const options = { headers: events.headersOf(as), signal: cut.signal };
    const message = create(method.input, request as Record<string, unknown>);
    if (method.methodKind === "unary")
      return (await events.dispatcher.unary(method, message, options)).message;
    const requestsOf = (async function* () {
      yield message;
    })();
    for await (const response of events.dispatcher.stream(method, requestsOf, options).messages)
      return response;
    return undefined;
  }

  test("the list of public methods is complete", () => {
    expect(PUBLIC.map(({ localName }) => localName).sort()).toEqual(Object.keys(requests).sort());
  });

  test.each(PUBLIC)("$localName: another organization's data does not exist", async (method) => {
    const { request, foreign } = requests[method.localName] ?? { request: () => ({}), foreign: {} };
    const response = first(method, request(), { organizationId: other });
    if (typeof foreign === "string") await expect(response).rejects.toMatchObject({ reason: foreign });
    else expect(await response).toMatchObject(foreign);
  });

  test("calls of other organizations have changed nothing", async () => {
    const own = { organizationId: mine };
    const { profile } = await events.call(ProfileService.method.getProfile, { profileId }, own);
    expect(profile).toMatchObject({ userId: "13" });
    expect(profile?.name).toBeUndefined();
    const { events: listed } = await events.call(EventService.method.listEvents, { profileId }, own);
    expect(listed).toHaveLength(1);
  });

  test.each(PUBLIC)("$localName: 401 without credentials, 403 without its permission", async (method) => {
    const request = requests[method.localName]?.request() ?? {};
    await expectReason(first(method, request, {}), "UNAUTHENTICATED");
    await expectReason(first(method, request, { service: "segments" }), "UNAUTHENTICATED");
    const { permission } = getOption(method, policy);
    const scopes = EVERY_KEY_PERMISSION.filter((one) => !permissionsOf([one]).has(permission));
    await expectReason(first(method, request, { organizationId: mine, scopes }), "PERMISSION_DENIED");
  });

  test.each(INTERNAL)("$localName: for listed services only", async (method) => {
    await expectReason(first(method, {}, {}), "UNAUTHENTICATED");
    await expectReason(first(method, {}, { organizationId: mine }), "PERMISSION_DENIED");
    await expectReason(first(method, {}, { service: "gateway" }), "PERMISSION_DENIED");
  });
});
