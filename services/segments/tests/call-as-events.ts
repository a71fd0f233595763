// Calls the segments service with the token of the events service.
import { ServiceTokens } from "@muster/authz";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { createLogger } from "@muster/log";
import { Metrics } from "@muster/metrics";
import { type Client, createClient, createDispatcher } from "@muster/rpc";
import type { SegmentsHarness } from "./segments-harness.ts";

/** Returns a factory of clients, each with a token minted at the time of the call. */
export function callAsEvents({ clock, first }: SegmentsHarness): () => Client<typeof SegmentPrivacyService> {
  const serviceTokens = new ServiceTokens({ service: "events", key: Buffer.alloc(32, 7), clock });
  const dispatcher = createDispatcher({
    implementations: first.module.services,
    serviceName: "segments",
    ...{ clock, log: createLogger({ level: "silent" }), metrics: new Metrics() },
    apiKeys: { verify: async () => undefined },
    serviceTokens,
  });
  return () => {
    const headers = new Map([["muster-service-token", serviceTokens.mint()]]);
    return createClient(SegmentPrivacyService, dispatcher, { headers });
  };
}
