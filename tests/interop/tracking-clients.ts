// Wraps the public tracking clients, configured for Muster by their own settings only. Both clients use
// Segment's HTTP API in slightly different ways; this interface contains the calls that both offer.
import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { Analytics as SegmentAnalytics } from "@segment/analytics-node";

export interface Ids {
  readonly userId: string;
  readonly anonymousId?: string;
}

export interface TrackingClient {
  identify(ids: Ids, traits: Record<string, string | number | null>): void;
  track(ids: Ids, event: string, properties: Record<string, string | number>, timestamp?: Date): void;
  /** A call with an anonymous id only. */
  trackVisitor(anonymousId: string, event: string): void;
  page(ids: Ids, name: string, category: string, properties: Record<string, string>): void;
  screen(ids: Ids, name: string, properties: Record<string, string>): void;
  group(ids: Ids, groupId: string, traits: Record<string, string>): void;
  alias(userId: string, previousId: string): void;
  /** Resolves when all calls so far have a response; rejects if a call was given up. */
  deliver(): Promise<void>;
  close(): Promise<void>;
}

export type OpenClient = (settings: { readonly url: string; readonly key: string }) => TrackingClient;

/** @segment/analytics-node */
export const openSegment: OpenClient = ({ url, key }) => {
  const client = new SegmentAnalytics({ host: url, writeKey: key, flushAt: 100, flushInterval: 100 });
  const failures: unknown[] = [];
  client.on("error", (error) => failures.push(error));
  return {
    identify: (ids, traits) => client.identify({ ...ids, traits }),
    track: (ids, event, properties, timestamp) =>
      client.track({ ...ids, event, properties, ...(timestamp && { timestamp }) }),
    trackVisitor: (anonymousId, event) => client.track({ anonymousId, event }),
    page: (ids, name, category, properties) => client.page({ ...ids, name, category, properties }),
    screen: (ids, name, properties) => client.screen({ ...ids, name, properties }),
    group: (ids, groupId, traits) => client.group({ ...ids, groupId, traits }),
    alias: (userId, previousId) => client.alias({ userId, previousId }),
    deliver: async () => {
      await client.flush();
      throwIfAny(failures);
    },
    close: () => client.closeAndFlush(),
  };
};

/** @rudderstack/rudder-sdk-node */
export const openRudder: OpenClient = ({ url, key }) => {
  const failures: unknown[] = [];
  const client = new RudderAnalytics(key, {
    dataPlaneUrl: url,
    flushAt: 100,
    flushInterval: 100,
    logLevel: "none",
    errorHandler: (error) => failures.push(error),
  });
  return {
    identify: (ids, traits) => void client.identify({ ...ids, traits }),
    track: (ids, event, properties, timestamp) =>
      void client.track({ ...ids, event, properties, ...(timestamp && { timestamp }) }),
    trackVisitor: (anonymousId, event) => void client.track({ anonymousId, event }),
    page: (ids, name, category, properties) => void client.page({ ...ids, name, category, properties }),
    screen: (ids, name, properties) => void client.screen({ ...ids, name, properties }),
    group: (ids, groupId, traits) => void client.group({ ...ids, groupId, traits }),
    alias: (userId, previousId) => void client.alias({ userId, previousId }),
    deliver: async () => {
      await client.flush();
      throwIfAny(failures);
    },
    close: () => client.flush(),
  };
};

function throwIfAny(failures: readonly unknown[]): void {
  if (failures.length > 0) throw new Error("calls were given up", { cause: failures });
}
