// Defines the options, timings and limits of a ShardConsumer.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { Metrics } from "@muster/metrics";
import type { ProducerPort, Projection } from "../ports/ports.ts";

export interface ShardConsumerOptions {
  /** The database of the consuming service. Its migrations have called createConsumerTables. */
  readonly database: Database;
  readonly bus: Bus;
  readonly producer: ProducerPort;
  readonly projection: Projection;
  /** The producing service, such as "events". */
  readonly source: string;
  /** Durable name, such as "segments"; the same in all replicas. */
  readonly consumer: string;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly instanceId: string;
  /** No other process uses this database: the consumer takes all shards by force, once. */
  readonly exclusive: boolean;
  readonly timings?: Partial<ConsumerTimings>;
}

export interface ConsumerTimings {
  /** Time after a replica's death until other replicas take over its shards. */
  readonly leaseMs: number;
  /** Time between two ticks that renew leases, balance shares and find requested replays. */
  readonly leaseTickMs: number;
  /** Time between two reports of changed positions to the producer. */
  readonly reportMs: number;
  /**
   * A shard without a message for so long requests messages from the producer, because the bus may have lost
   * one.
   */
  readonly quietMs: number;
  /**
   * Time after a takeover in which a silent shard requests messages from the producer twice a second. A
   * broker may hold back the next messages until it stops waiting for the acks of the dead owner.
   */
  readonly handoverMs: number;
  /** Wait after the first failure; doubled after each further failure. */
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

/** Failures caused by a message itself before it moves to the dead letters. */
export const ATTEMPTS_MAX = 5;
/** Most items applied in one transaction; a single message may hold more. */
export const APPLY_ITEMS_MAX = 2_000;
/** Most messages applied in one transaction, for messages without items. */
export const APPLY_MESSAGES_MAX = 512;
/** Most deliveries of one shard that are neither acked nor naked. */
export const IN_FLIGHT_MAX = 32;
/** Most messages of one refetch. */
export const REFETCH_MAX = 100;
/** Silence of a shard before it requests messages from the producer, during a handover. */
export const HANDOVER_QUIET_MS = 500;
/** Time after which a refetch without a response is retried. */
export const REFETCH_TIMEOUT_MS = 10_000;
