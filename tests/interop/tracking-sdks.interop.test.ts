// Tests the public tracking clients against whole installations: each call is stored once, also when a
// response is lost and the client sends the call again.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Installation, type Mode, startInstallation } from "../harness/installation.ts";
import { RestClient } from "../harness/rest.ts";
import { type CuttingProxy, startCuttingProxy } from "./cutting-proxy.ts";
import { type OpenClient, openRudder, openSegment, type TrackingClient } from "./tracking-clients.ts";

const CLIENTS: readonly (readonly [name: string, open: OpenClient])[] = [
  ["@segment/analytics-node", openSegment],
  ["@rudderstack/rudder-sdk-node", openRudder],
];
const HOUR_MS = 3_600_000;

interface ShownEvent {
  readonly name: string;
  readonly properties: unknown;
  readonly timestamp: string;
  readonly event_id: string;
}

/** A call of each kind, and the expected result. */
function callAll(client: TrackingClient, name: string, paidAt: Date): void {
  const ids = { userId: name, anonymousId: `${name}-device` };
  client.trackVisitor(ids.anonymousId, "ad.clicked");
  client.identify(ids, { email: `${name}@example.test`, name: "Ada", plan: "pro", logins: 3 });
  client.track(ids, "PURCHASE", { amount: 42.5, currency: "EUR" }, paidAt);
  client.track({ userId: name }, "LOGIN", {});
  client.page(ids, "Pricing Page", "Shop", { url: "https://example.test/pricing" });
  client.screen(ids, "Start", { theme: "dark" });
  client.group(ids, "acme", { industry: "tools" });
  client.alias(name, `${name}-old-device`);
}

const EXPECTED: Readonly<Record<string, unknown>> = {
  "ad.clicked": {},
  "group.identified": { groupId: "acme", industry: "tools" },
  LOGIN: {},
  PURCHASE: { amount: 42.5, currency: "EUR" },
  "page.viewed": { name: "Pricing Page", category: "Shop", url: "https://example.test/pricing" },
  "screen.viewed": { name: "Start", theme: "dark" },
  "user.aliased": {},
  "user.identified": { email: "", name: "Ada", plan: "pro", logins: 3 },
};

describe.each<Mode>(["embedded", "production"])("%s mode", (mode) => {
  let installation: Installation;
  let rest: RestClient;
  beforeAll(async () => {
    installation = await startInstallation(mode);
    rest = new RestClient(installation);
  });
  afterAll(async () => installation?.stop());

  async function profileOf(userId: string) {
    const { body } = await rest.get(`/v1/profiles?user_id=${userId}`);
    expect(body.profiles).toHaveLength(1);
    return body.profiles[0];
  }

  /** Everything that a single `callAll` causes, in every place where it shows, and no duplicates. */
  async function expectOnce(name: string, paidAt: Date): Promise<void> {
    const profile = await profileOf(name);
    expect(profile).toMatchObject({
      user_id: name,
      anonymous_id: `${name}-device`,
      email: `${name}@example.test`,
      name: "Ada",
      traits: { plan: "pro", logins: 3 },
    });
    for (const device of [`${name}-device`, `${name}-old-device`]) {
      const { body } = await rest.get(`/v1/profiles?anonymous_id=${device}`);
      expect(body.profiles.map(({ id }: { id: string }) => id)).toEqual([profile.id]);
    }
    const events: ShownEvent[] = await rest.all(`/v1/profiles/${profile.id}/events`, "events");
    const shown = Object.fromEntries(events.map((event) => [event.name, event.properties]));
    expect(shown).toMatchObject({
      ...EXPECTED,
      "user.aliased": { previousId: `${name}-old-device` },
      "user.identified": { email: `${name}@example.test`, name: "Ada", plan: "pro", logins: 3 },
    });
    expect(events).toHaveLength(Object.keys(EXPECTED).length);
    const paid = events.find((event) => event.name === "PURCHASE");
    expect(Math.abs(Date.parse(paid?.timestamp ?? "") - paidAt.getTime())).toBeLessThan(60_000);
    await expectBehavior(name);
  }

  async function expectBehavior(name: string): Promise<void> {
    expect((await rest.get(`/v1/user/${name}`)).body).toMatchObject({
      number_pages_viewed_in_the_last_7_days: 1,
      most_viewed_page_in_last_7_days: "Pricing Page",
    });
    const points = await rest.get(`/v1/users/events?user_id=${name}`);
    expect(points.body.data).toEqual([{ userId: name, points: 11 }]);
  }

  describe.each(CLIENTS)("%s", (_, open) => {
    const name = `${mode}-${open.name}`;

    test("what it sends is there, once", async () => {
      const client = open({ url: installation.url, key: installation.apiKey });
      const paidAt = new Date(Date.now() - HOUR_MS);
      callAll(client, name, paidAt);
      await client.deliver();
      await client.close();
      await expectOnce(name, paidAt);
    });

    test("and once when responses are lost and it sends again", async () => {
      const proxy = await startCuttingProxy(installation.url);
      const client = open({ url: proxy.url, key: installation.apiKey });
      const paidAt = new Date(Date.now() - HOUR_MS);
      proxy.loseResponses(2);
      callAll(client, `${name}-again`, paidAt);
      await client.deliver();
      await client.close();
      expect(proxy.passed).toBeGreaterThan(2);
      await proxy.stop();
      await expectOnce(`${name}-again`, paidAt);
    });

    test("a key that nobody issued delivers nothing", async () => {
      const client = open({ url: installation.url, key: "mk_nobody" });
      client.track({ userId: `${name}-nobody` }, "x", {});
      await expect(client.deliver()).rejects.toThrow();
      const { body } = await rest.get(`/v1/profiles?user_id=${name}-nobody`);
      expect(body.profiles).toEqual([]);
    });

    test.runIf(mode === "embedded")("no key at all is the demo organization's, on this machine", async () => {
      const proxy: CuttingProxy = await startCuttingProxy(installation.url, { dropsCredentials: true });
      const client = open({ url: proxy.url, key: "ignored" });
      client.track({ userId: `${name}-demo` }, "x", { a: "b" });
      await client.deliver();
      await client.close();
      await proxy.stop();
      const { id } = await profileOf(`${name}-demo`);
      const events: ShownEvent[] = await rest.all(`/v1/profiles/${id}/events`, "events");
      expect(events).toMatchObject([{ name: "x", properties: { a: "b" } }]);
    });
  });
});
