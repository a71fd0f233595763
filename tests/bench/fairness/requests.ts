// Lists costly requests: the ten most expensive requests of a security test, and more of the same kind.
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import type { Installation } from "../../harness/installation.ts";
import type { RestClient } from "../../harness/rest.ts";
import { history, largestRule, sendEvents } from "./tenant.ts";

export interface CostlyRequest {
  readonly name: string;
  /** Creates the data of the request; returns the request, which resolves to the status of the response. */
  prepare(tenant: Tenant): Promise<() => Promise<number | string>>;
}

export interface Tenant {
  readonly rest: RestClient;
  readonly installation: Installation;
  readonly apiKey: string;
}

const HEAVY_USER = "heavy";
const LARGE_TEXT = "x".repeat(1_000);

const windowedSum = (seconds: number) => ({
  aggregate: {
    function: "sum",
    event_name: "product.viewed",
    property: "price",
    window: { last: `${seconds}s` },
    at_most: 1_000_000_000,
  },
});
const containsLeaf = (index: number) => ({
  performed: {
    event_name: "note.added",
    where: `properties.l.exists(i, i.contains("${"y".repeat(20)}${index}"))`,
    count: { at_least: 1 },
  },
});
const durationTerms = Array.from({ length: 12 }, () => "duration(i) < duration(i)").join(" || ");
const durationLeaf = (index: number) => ({
  performed: {
    event_name: "list.saved",
    where: `properties.l.exists(i, ${durationTerms} || i == "${index}")`,
    count: { at_least: 1 },
  },
});
const durationTraitLeaf = (index: number) => ({
  trait: { where: `traits.l.exists(i, ${durationTerms} || i == "${index}")` },
});
const durations = (): string[] =>
  Array.from({ length: 1_000 }, (_, index) => `${index}h0m0.000000000000000000001s`);

export const COSTLY_REQUESTS: readonly CostlyRequest[] = [
  {
    name: "backtest, 64 windowed sums, 90 days",
    prepare: async ({ rest }) => {
      const events = history(HEAVY_USER, "product.viewed", {
        count: 12_000,
        days: 60,
        properties: { price: 9.5 },
      });
      await sendEvents(rest, events);
      const rules = Array.from({ length: 64 }, (_, index) => windowedSum((index + 1) * 86_400));
      return statusOf(rest, "/v1/segments:backtest", { days: 90, rule: { any: { rules } } });
    },
  },
  {
    name: "backtest, 4 windowed sums, 30 days",
    prepare: async ({ rest }) => {
      const rules = [7, 14, 21, 30].map((days) => windowedSum(days * 86_400));
      return statusOf(rest, "/v1/segments:backtest", { days: 30, rule: { any: { rules } } });
    },
  },
  {
    name: "preview, contains leaves, 21 people",
    prepare: async ({ rest }) => {
      await sendLargeNotes(rest);
      const { rule } = await largestRule(rest, containsLeaf);
      return statusOf(rest, "/v1/segments:preview", { rule });
    },
  },
  {
    name: "validate_only, contains leaves, 21 people",
    prepare: async ({ rest }) => {
      const { rule } = await largestRule(rest, containsLeaf);
      const simple = { name: "Notes", event_name: "note.added", min_count: 1 };
      const { body } = await rest.post("/v1/segments", simple);
      const path = `/v1/segments/${body.id}?update_mask=rule&validate_only=true`;
      return async () => (await rest.request("PATCH", path, { rule })).status;
    },
  },
  {
    name: "estimateCost, contains leaves, 21 people",
    prepare: async ({ rest }) => {
      const { rule } = await largestRule(rest, containsLeaf);
      return statusOf(rest, "/v1/segments:estimateCost", { rule });
    },
  },
  {
    name: "preview, 110,000 events",
    prepare: async ({ rest }) => {
      for (let user = 0; user < 50; user += 1) {
        await sendEvents(
          rest,
          history(`user-${user}`, "product.viewed", { count: 2_000, days: 30, properties: { price: user } }),
        );
      }
      const where = "properties.price > 98";
      const rule = { performed: { event_name: "product.viewed", where, count: { at_least: 1 } } };
      return statusOf(rest, "/v1/segments:preview", { rule });
    },
  },
  {
    name: "one event of 40 KB, duration leaves",
    prepare: async ({ rest }) => {
      const { rule } = await largestRule(rest, durationLeaf);
      await rest.post("/v1/segments", { name: "Durations", rule });
      const event = { user_id: HEAVY_USER, name: "list.saved", properties: { l: durations() } };
      return statusOf(rest, "/v1/events", event);
    },
  },
  {
    name: "PATCH of 40 KB of traits, duration leaves",
    prepare: async ({ rest }) => {
      const { rule } = await largestRule(rest, durationTraitLeaf);
      await rest.post("/v1/segments", { name: "Trait durations", rule });
      const { body } = await rest.post("/v1/profiles", { user_id: "traits" });
      let sent = 0;
      return async () => {
        sent += 1;
        const traits = { l: durations(), sent };
        return (await rest.request("PATCH", `/v1/profiles/${body.id}`, { traits })).status;
      };
    },
  },
  {
    name: "late event after 60,000, a sequence rule",
    prepare: async ({ rest }) => {
      const steps = Array.from({ length: 8 }, () => ({ event_name: "step.taken" }));
      await rest.post("/v1/segments", { name: "Steps", rule: { sequence: { steps, within: "8640000s" } } });
      await sendEvents(rest, history("walker", "step.taken", { count: 60_000, days: 20 }));
      const timestamp = new Date(Date.now() - 30 * 86_400_000).toISOString();
      return statusOf(rest, "/v1/events", { user_id: "walker", name: "step.taken", timestamp });
    },
  },
  {
    name: "/v1/batch, 4,500 aliases",
    prepare: async ({ rest }) => {
      let sent = 0;
      return async () => {
        sent += 1;
        const batch = Array.from({ length: 4_500 }, (_, index) => ({
          type: "alias",
          previousId: `anonymous-${sent}-${index}`,
          userId: `aliased-${sent}`,
        }));
        return (await rest.post("/v1/batch", { batch })).status;
      };
    },
  },
  {
    name: "batch of 5,000 deposits, 100 alert rules",
    prepare: async ({ rest }) => {
      // The default rules of the organization count towards the limit of 100.
      for (let index = 0; index < 100; index += 1) await rest.post("/v1/alert-rules", alertRule(index));
      const events = Array.from({ length: 5_000 }, () => ({
        user_id: "depositor",
        name: "deposit",
        properties: { amount: "1" },
      }));
      return statusOf(rest, "/v1/events:batch", { events });
    },
  },
  {
    name: "100 pipelined GETs of 500 events of 110 KB",
    prepare: async ({ rest, installation, apiKey }) => {
      const text = "z".repeat(110_000);
      const events = Array.from({ length: 504 }, () => ({
        user_id: "large",
        name: "file.saved",
        properties: { text },
      }));
      await sendEvents(rest, events);
      const { body } = await rest.get("/v1/profiles?user_id=large");
      const path = `/v1/profiles/${body.profiles[0].id}/events?page_size=500`;
      return () => pipeline(installation.url, apiKey, path);
    },
  },
  {
    name: "gzip list of {}, no credentials",
    prepare: async ({ installation }) => {
      const list = `{"events":[${"{},".repeat(1_390_000)}{}]}`;
      const body = new Uint8Array(gzipSync(list, { level: 9 }));
      const headers = {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "x-forwarded-for": "1",
      };
      return async () => {
        const response = await fetch(`${installation.url}/v1/events:batch`, {
          method: "POST",
          headers,
          body,
        });
        await response.arrayBuffer();
        return response.status;
      };
    },
  },
];

function statusOf(rest: RestClient, path: string, body: unknown): () => Promise<number> {
  return async () => (await rest.post(path, body)).status;
}

async function sendLargeNotes(rest: RestClient): Promise<void> {
  const l = Array.from({ length: 32 }, () => LARGE_TEXT);
  const events = Array.from({ length: 21 }, (_, index) => ({
    user_id: `note-${index}`,
    name: "note.added",
    properties: { l },
  }));
  await sendEvents(rest, events);
}

/** Half of the rules compare with the amounts before, half sum over a year. */
function alertRule(index: number): unknown {
  const kind =
    index % 2 === 0
      ? { kind: "rising", count: 100 }
      : { kind: "window_sum", window_seconds: 31_536_000, threshold: String(1_000_000_000 + index) };
  return { code: 1_000 + index, name: `Rule ${index}`, event_name: "deposit", property: "amount", ...kind };
}

/** Writes all requests at once, pauses reading for a second, and leaves. */
function pipeline(url: string, apiKey: string, path: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const request = `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${apiKey}\r\n\r\n`;
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => {
      socket.write(request.repeat(100));
      socket.pause();
      setTimeout(() => socket.destroy(), 1_000);
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve("left"));
  });
}
