// Declares the dependencies that the slices of this service share. A slice that needs more extends them.

import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { Metrics } from "@muster/metrics";
import type { OutboxPort, OutboxTail } from "@muster/outbox";
import type { Caller } from "@muster/rpc";
import type { TailItem } from "../domain-events/domain-events.ts";
import type { IdentityChangeHook } from "../identity-graph/merge-profile-groups.ts";
import type { IngestQueue } from "../ingest/ingest-queue.ts";
import type { RepeatedCalls } from "../ingest/repeated-calls.ts";

export interface EventsDeps {
  readonly clock: Clock;
  /** Source of event ids and of other ids. */
  readonly ids: IdSource;
  readonly profileIds: IdSource;
  readonly metrics: Metrics;
  readonly database: Database;
  readonly outbox: OutboxPort;
  readonly ingest: IngestQueue;
  readonly repeatedCalls: RepeatedCalls;
  /** Features that take part in a change of identity links. */
  readonly identityChangeHooks: readonly IdentityChangeHook[];
  readonly tails: OutboxTail<TailItem>;
  readonly pageTokens: PageTokens;
  /** Calls the segments service. */
  readonly segments: Caller;
}
