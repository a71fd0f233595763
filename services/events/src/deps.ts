// Declares the dependencies of the slices of this service.

import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort, OutboxTail } from "@muster/outbox";
import type { Caller } from "@muster/rpc";
import type { Catalog } from "./catalog/catalog.ts";
import type { TailItem } from "./domain-events.ts";
import type { ErasureWorker } from "./erasure/erasure-worker.ts";
import type { IdentityChangeHook } from "./identity-graph/merge-profile-groups.ts";
import type { IngestQueue } from "./ingest/ingest-queue.ts";
import type { RetentionWorker } from "./retention/retention-worker.ts";

export interface EventsDeps {
  readonly clock: Clock;
  /** Source of event ids and of other ids. */
  readonly ids: IdSource;
  readonly profileIds: IdSource;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly outbox: OutboxPort;
  readonly ingest: IngestQueue;
  /** Features that take part in a change of identity links. */
  readonly identityChangeHooks: readonly IdentityChangeHook[];
  readonly tails: OutboxTail<TailItem>;
  readonly pageTokens: PageTokens;
  readonly catalog: Catalog;
  /** Calls the segments service. */
  readonly segments: Caller;
  readonly erasures: Pick<ErasureWorker, "erase">;
  readonly retention: Pick<RetentionWorker, "wake">;
}
