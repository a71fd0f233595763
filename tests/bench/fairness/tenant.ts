// Prepares the data of the tenant that sends the costly requests.
import type { RestClient } from "../../harness/rest.ts";

const DAY_MS = 86_400_000;
const BATCH_EVENTS = 5_000;
const BATCH_BYTES = 2_000_000;

export interface TrackedEvent {
  readonly user_id: string;
  readonly name: string;
  readonly timestamp?: string;
  readonly properties?: Readonly<Record<string, unknown>>;
}

/** Events of one user, evenly spread over the last days, oldest first. */
export function history(
  userId: string,
  name: string,
  { count, days, properties = {} }: { count: number; days: number; properties?: Record<string, unknown> },
): TrackedEvent[] {
  const startMs = Date.now() - days * DAY_MS;
  return Array.from({ length: count }, (_, index) => ({
    user_id: userId,
    name,
    timestamp: new Date(startMs + Math.floor((index * (days * DAY_MS - 60_000)) / count)).toISOString(),
    properties,
  }));
}

/** Sends events in batches within the limits of a request, and waits while the service is overloaded. */
export async function sendEvents(rest: RestClient, events: readonly TrackedEvent[]): Promise<void> {
  const bytes = JSON.stringify(events[0]).length + 1;
  const size = Math.max(1, Math.min(BATCH_EVENTS, Math.floor(BATCH_BYTES / bytes)));
  for (let start = 0; start < events.length; start += size) {
    const batch = { events: events.slice(start, start + size) };
    let response = await rest.post("/v1/events:batch", batch);
    while (response.status === 429 || response.status === 503) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      response = await rest.post("/v1/events:batch", batch);
    }
    if (response.status !== 200) throw new Error(`a batch got ${response.status}: ${response.text}`);
  }
}

/** Returns the rule with the most leaves that the service accepts: 64, 32, 16 and so on. */
export async function largestRule(
  rest: RestClient,
  leafOf: (index: number) => unknown,
): Promise<{ readonly rule: unknown; readonly leaves: number }> {
  for (let leaves = 64; leaves > 0; leaves /= 2) {
    const rule = { any: { rules: Array.from({ length: leaves }, (_, index) => leafOf(index)) } };
    const created = await rest.post("/v1/segments", { name: `Rule ${leaves} ${Math.random()}`, rule });
    if (created.status !== 201) continue;
    await rest.request("DELETE", `/v1/segments/${created.body.id}`);
    return { rule, leaves };
  }
  throw new Error("no size of the rule was accepted");
}
