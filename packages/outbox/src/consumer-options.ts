// What a ShardConsumer is made of.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { Folder, ProducerPort } from "./ports.ts";

export interface ShardConsumerOptions {
  /** The consuming service's own; its migrations have called createConsumerTables. */
  readonly database: Database;
  readonly bus: Bus;
  readonly producer: ProducerPort;
  readonly folder: Folder;
  /** The producing service, such as "events". */
  readonly source: string;
  /** Durable name, such as "segments"; one for all replicas. */
  readonly consumer: string;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly instanceId: string;
  /** No other process uses this database: all shards are taken by force, once. */
  readonly exclusive: boolean;
  readonly timings?: Partial<ConsumerTimings>;
}

export interface ConsumerTimings {
  /** How long after a replica's death its shards are taken over. */
  readonly leaseMs: number;
  /** How often leases are renewed, shares balanced and replays looked for. */
  readonly leaseTickMs: number;
  /** How often the producer is told what is folded, if that has changed. */
  readonly reportMs: number;
  /** After so long without a message a shard asks the producer whether the bus has lost one. */
  readonly quietMs: number;
  /**
   * After taking a shard over, how long to ask the producer twice a second while the bus is silent: a
   * broker may hold back what comes next until it gives up waiting for the dead owner's acks.
   */
  readonly handoverMs: number;
  /** The first wait after a failure; doubled after each. */
  readonly retryMs: number;
}

export const DEFAULT_CONSUMER_TIMINGS: ConsumerTimings = {
  leaseMs: 5_000,
  leaseTickMs: 1_500,
  reportMs: 500,
  quietMs: 15_000,
  handoverMs: 35_000,
  retryMs: 100,
};

/** Failures of a message itself before it is put among the dead letters. */
export const ATTEMPTS_MAX = 5;
/** Items folded in one transaction; a single message may hold more. */
export const FOLD_ITEMS_MAX = 2_000;
/** Messages folded in one transaction, for those without items. */
export const FOLD_MESSAGES_MAX = 512;
/** Deliveries of one shard that are neither acked nor naked. */
export const IN_FLIGHT_MAX = 32;
/** Messages of one refetch. */
export const REFETCH_MAX = 100;
/** While a handover lasts, how long a shard is silent before the producer is asked. */
export const HANDOVER_QUIET_MS = 500;
/** A producer that has not answered a refetch by then is asked again. */
export const REFETCH_TIMEOUT_MS = 10_000;
