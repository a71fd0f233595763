// Walks every list method with large rows, in whole installations: pages are bounded by bytes as well as by rows,
// and a walk neither skips nor repeats rows.
import { create, type DescMethod, getOption, type Message, toBinary } from "@bufbuild/protobuf";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import { grpcCaller } from "@muster/rpc";
import { waitFor } from "@muster/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allServices, fullName, policyOf } from "../coverage/all-services.ts";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";

const PAGE_BYTES_MAX = 3.5 * 1024 * 1024;
/** The largest message that a gRPC client receives unless it is configured otherwise. */
const STOCK_MESSAGE_BYTES = 4_194_304;
const PAGE_SIZE = 500;
const EVENTS = 90;
const EVENT_BYTES = 120_000;
const PROFILES = 130;
const TRAITS_BYTES = 60_000;
const SEGMENTS = 115;
const LEAVES = 60;
const SMALL_ROWS = 20;

/** Lists without pages. Their responses are small by the limits of their fields. */
const UNPAGED = ["ListSegmentDependencies", "ListMemberships", "ListSigningKeys"];
/** Rows of the lists of several pages. */
const LARGE: Readonly<Record<string, number>> = {
  ListEvents: EVENTS,
  // With the profiles of the small lists.
  ListProfiles: PROFILES + SMALL_ROWS + 2,
  ListSegmentMembers: PROFILES,
  // With the default segment and the segment of the members.
  ListSegments: SEGMENTS + 2,
  ListProfileSegments: SEGMENTS,
};
/** Other lists, and the rows that they have at least. */
const SMALL: Readonly<Record<string, number>> = {
  ListEventTypes: SMALL_ROWS,
  ListAlertRules: SMALL_ROWS,
  ListAlerts: SMALL_ROWS,
  ListApiKeys: SMALL_ROWS,
  ListErasures: SMALL_ROWS,
  ListTrackedUserPoints: SMALL_ROWS,
  ListOrganizations: 1,
  // Members, invitations and deletion requests are not added here.
  ListUsers: 0,
  ListDeletionRequests: 0,
  ListInvitations: 0,
  ListTopLogins: 0,
  ListInactiveUsers: 0,
};
/** The windows of the lists that require one. */
const WINDOWS: Readonly<Record<string, string>> = { ListTopLogins: "30d", ListInactiveUsers: "month" };

/** Lists of a signed-in user. By the limits of their fields, 500 rows have less than 500 KB. */
const OF_USERS = ["ListActivities", "ListSessions"];

const methods = (await allServices())
  .flatMap((service) => service.methods)
  .filter(({ name }) => name.startsWith("List"));
const paged = methods.filter(({ input }) => input.field.pageToken !== undefined);
const ofOrganizations = paged.filter((method) => policyOf(method).access === Access.PERMISSION);

/** Values of the fields that a list requires. */
interface Seeds {
  readonly profileId: string;
  readonly segmentId: string;
}

test("every list is paged, or is bounded by its fields", () => {
  expect(
    methods
      .filter((method) => !paged.includes(method))
      .map(({ name }) => name)
      .sort(),
  ).toEqual(UNPAGED.toSorted());
  const seeded = [...Object.keys(LARGE), ...Object.keys(SMALL), ...OF_USERS];
  expect(paged.map(({ name }) => name).sort()).toEqual(seeded.sort());
});

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  let seeds: Seeds;

  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
    seeds = await seed(rest);
  }, 180_000);
  afterAll(async () => installation?.stop());

  test.each(ofOrganizations)("$name over REST", async (method) => {
    const path = pathOf(method, seeds);
    const pageSize = method.input.field.pageSize === undefined ? "" : `page_size=${PAGE_SIZE}&`;
    const parameters = method.name in WINDOWS ? `${pageSize}window=${WINDOWS[method.name]}&` : pageSize;
    const items: string[] = [];
    let pages = 0;
    let token = "";
    do {
      const page = await rest.get(`${path}?${parameters}page_token=${token}`);
      expect(page.status, page.text).toBe(200);
      expect(Buffer.byteLength(page.text)).toBeLessThanOrEqual(PAGE_BYTES_MAX);
      const rows = Object.values(page.body).find(Array.isArray) as unknown[];
      items.push(...rows.map((row) => JSON.stringify(row)));
      token = page.body.next_page_token;
      pages += 1;
    } while (token !== "");
    expectWhole(method, items);
    if (method.name in LARGE) expect(pages).toBeGreaterThan(1);
  });

  test.runIf(mode === "embedded").each(ofOrganizations)("$name over gRPC", async (method) => {
    const caller = grpcCaller({ address: installation.eventsAddress });
    const headers = new Map([["authorization", `Bearer ${installation.apiKey}`]]);
    const items: string[] = [];
    let token = "";
    do {
      const request = create(method.input, {
        ...(method.input.field.profileId && { profileId: seeds.profileId }),
        ...(method.input.field.segmentId && { segmentId: seeds.segmentId }),
        ...(method.input.field.pageSize && { pageSize: PAGE_SIZE }),
        ...(method.name in WINDOWS && { window: WINDOWS[method.name] }),
        pageToken: token,
      });
      const { signal } = new AbortController();
      const { message: response } = await caller.unary(method, request, { headers, signal });
      expect(toBinary(method.output, response).byteLength).toBeLessThanOrEqual(STOCK_MESSAGE_BYTES);
      const rows = Object.values(response).find(Array.isArray) as Message[];
      items.push(...rows.map((row) => JSON.stringify(row, plain)));
      const { nextPageToken, page } = response as unknown as Record<string, string & { value?: string }>;
      token = nextPageToken ?? page?.value ?? "";
    } while (token !== "");
    caller.close();
    expectWhole(method, items);
  });
});

function expectWhole({ name }: DescMethod, items: readonly string[]): void {
  expect(new Set(items).size).toBe(items.length);
  const exact = LARGE[name];
  if (exact === undefined) expect(items.length).toBeGreaterThanOrEqual(SMALL[name] ?? 0);
  else expect(items).toHaveLength(exact);
}

function pathOf(method: DescMethod, { profileId, segmentId }: Seeds): string {
  const { pattern } = getOption(method, http);
  if (pattern.case !== "get") throw new Error(`${fullName(method)} has no path`);
  return pattern.value.replace("{profile_id}", profileId).replace("{segment_id}", segmentId);
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}

async function seed(rest: RestClient): Promise<Seeds> {
  const post = async (path: string, body: unknown) => {
    const response = await rest.post(path, body);
    expect(response.status, response.text).toBeLessThan(300);
    return response.body;
  };
  const rule = (index: number) => ({
    any: {
      rules: [
        { performed: { event_name: "large", count: { at_least: 1 } } },
        ...Array.from({ length: LEAVES }, (_, leaf) => ({
          performed: { event_name: `${index}.${leaf}.`.padEnd(250, '"'), count: { at_least: 1 } },
        })),
      ],
    },
  });
  for (let index = 0; index < SEGMENTS; index += 1)
    await post("/v1/segments", { name: `Large ${index}`, rule: rule(index) });
  const largeText = "x".repeat(TRAITS_BYTES);
  for (let index = 0; index < PROFILES; index += 1)
    await post("/v1/profiles", { user_id: `large ${index}`, traits: { largeText } });
  const event = { name: "large", properties: { text: "x".repeat(EVENT_BYTES) } };
  let sent = 0;
  const first = await post("/v1/profiles", { user_id: "many" });
  for (; sent < EVENTS; sent += 30) {
    const events = Array.from({ length: 30 }, (_, index) => ({
      ...event,
      user_id: "many",
      event_id: `e${sent + index}`,
    }));
    await post("/v1/events:batch", { events });
  }
  await post("/v1/events:batch", {
    events: Array.from({ length: PROFILES }, (_, index) => ({ user_id: `large ${index}`, name: "member" })),
  });
  const members = await post("/v1/segments", { name: "Members", event_name: "member", min_count: 1 });
  await seedSmall(rest, post);
  const isReady = async () => (await rest.get(`/v1/segments?page_size=${PAGE_SIZE}`)).status === 200;
  await waitFor(isReady, { timeoutMs: 120_000 });
  return { profileId: first.id, segmentId: members.id };
}

async function seedSmall(
  rest: RestClient,
  post: (path: string, body: unknown) => Promise<{ readonly id: string }>,
): Promise<void> {
  await post("/v1/events:batch", {
    events: Array.from({ length: SMALL_ROWS }, (_, index) => ({ user_id: `point ${index}`, name: "LOGIN" })),
  });
  for (let index = 0; index < SMALL_ROWS; index += 1) {
    await post("/v1/event-types", { name: `type ${index}`, price: 1 });
    await post("/v1/api-keys", { name: "k".repeat(250), scopes: ["events.read"] });
    await post("/v1/alert-rules", {
      code: 2000 + index,
      name: `Rule ${index}`,
      kind: "threshold",
      event_name: "paid",
      property: "amount",
      threshold: "1.00",
    });
    const erased = await post("/v1/profiles", { user_id: `erased ${index}` });
    expect((await rest.request("DELETE", `/v1/profiles/${erased.id}`)).status).toBe(204);
  }
  // Fires every rule.
  await post("/v1/events", { user_id: "payer", name: "paid", properties: { amount: 2 } });
}
