// Lists what RPC handlers may use.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { OutboxTail } from "@muster/outbox";
import type { ThreadPool } from "@muster/runtime";
import type { Announcement } from "../announcements/announcements.ts";
import type { Announcer } from "../announcements/announcer.ts";
import type { EventsFeed } from "../events/events-feed.ts";
import type { OrganizationTimeZones } from "../organizations/organization-time-zones.ts";
import type { Consistency } from "./consistency.ts";

/** Constructed once by `module.ts`. */
export interface SegmentsDeps {
  readonly announcer: Announcer;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly consistency: Consistency;
  readonly database: Database;
  readonly feed: EventsFeed;
  readonly ids: IdSource;
  readonly pageTokens: PageTokens;
  readonly threads: ThreadPool;
  readonly timeZones: OrganizationTimeZones;
  readonly watches: OutboxTail<Announcement>;
}
