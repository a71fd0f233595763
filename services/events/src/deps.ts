// What the slices of this service may use.

import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { OutboxPort, OutboxTail } from "@muster/outbox";
import type { Catalogue } from "./catalogue/catalogue.ts";
import type { IngestQueue } from "./ingest/ingest-queue.ts";
import type { TailItem } from "./tracked-events/tail-filter.ts";

export interface EventsDeps {
  readonly clock: Clock;
  /** Of events. */
  readonly ids: IdSource;
  readonly profileIds: IdSource;
  readonly database: Database;
  readonly outbox: OutboxPort;
  readonly ingest: IngestQueue;
  readonly tails: OutboxTail<TailItem>;
  readonly pageTokens: PageTokens;
  readonly catalogue: Catalogue;
}
