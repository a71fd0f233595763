// What the slices of this service may use.
import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { OutboxPort } from "@muster/outbox";
import type { TailFeed } from "./feed/tail-feed.ts";
import type { IngestQueue } from "./ingest/ingest-queue.ts";

export interface EventsDeps {
  readonly clock: Clock;
  /** Of events. */
  readonly ids: IdSource;
  readonly profileIds: IdSource;
  readonly database: Database;
  readonly outbox: OutboxPort;
  readonly ingest: IngestQueue;
  readonly tails: TailFeed;
  readonly pageTokens: PageTokens;
}
