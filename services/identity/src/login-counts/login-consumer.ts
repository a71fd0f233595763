// Names the consumer of identity's own login events, and builds it.
import type { Outbox } from "@muster/outbox";
import { ShardConsumer } from "@muster/outbox";
import type { Platform } from "@muster/runtime";
import { LoginProjection } from "./login-projection.ts";

/** Durable: after a change of this name, all kept messages are applied again. */
export const LOGIN_CONSUMER = { consumer: "login-analytics", source: "identity" } as const;

export function loginConsumer(platform: Platform, outbox: Outbox): ShardConsumer {
  const { clock, database } = platform;
  return new ShardConsumer({
    ...platform,
    ...LOGIN_CONSUMER,
    producer: outbox,
    projection: new LoginProjection({ clock, database }),
  });
}
