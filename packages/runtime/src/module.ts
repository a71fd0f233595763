// Declares the interface between a service module and the process that runs the module.
import type { CredentialVerifier, PartnerVerifier, ServiceTokenPort } from "@muster/authz";
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { MailTransport } from "@muster/mail";
import type { Metrics } from "@muster/metrics";
import type { Caller, ServiceImplementation } from "@muster/rpc";
import type { ThreadPool } from "./threads/thread-pool.ts";

export type ServiceName = "identity" | "events" | "segments";

/** The process as a module uses it: ports only, no adapter and no mode. */
export interface Platform {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly bus: Bus;
  /** This service's own database. */
  readonly database: Database;
  /** Reaches another service, with this service's token attached. */
  caller(service: ServiceName): Caller;
  readonly credentials: CredentialVerifier;
  /** Sends mails. Undefined in a process without a service that sends mails. */
  readonly mail: MailTransport | undefined;
  readonly serviceTokens: ServiceTokenPort;
  /** Runs long computations beside the event loop. Shared by the modules of the process. */
  readonly threads: ThreadPool;
  /** 32 bytes, of the installation, for the named use ("page-tokens", "idempotency"). */
  key(use: string): Uint8Array;
  /** As `key`, but known to the processes of this service alone where the service has a secret of its own. */
  ownKey(use: string): Uint8Array;
  /** Unique to this process start: the name of the lease owner. */
  readonly instanceId: string;
  /** No other process uses these databases, so leases of a dead process are taken over at once. */
  readonly exclusive: boolean;
  readonly settings: ModuleSettings;
}

export interface ModuleSettings {
  /** Set in embedded mode: the organization for which callers without credentials act. */
  readonly demoOrganizationId: OrganizationId | undefined;
  /**
   * Limit of acknowledged events that are not applied yet. Above it batches are refused, and single posts at
   * twice as many.
   */
  readonly backlogItemsMax: number;
  readonly tracking: TrackingSettings;
  /** Address under which people reach the gateway. It begins the links of mails. */
  readonly publicUrl: string;
  /** A user who owns as many organizations creates no more. */
  readonly organizationsPerUserMax: number;
  readonly login: LoginSettings;
}

/** Limits of passwords and of failed logins. */
export interface LoginSettings {
  /** Passwords that are hashed at once in the process. */
  readonly passwordSlots: number;
  /** Failures of an address typed from a client that lock this pair. */
  readonly pairFailuresMax: number;
  /** How long a pair stays locked. */
  readonly pairLockMs: number;
  /** Failures of an address typed, from all clients, in a window. */
  readonly addressFailuresMax: number;
  /** Failures of a client, with all addresses, in a window. */
  readonly clientFailuresMax: number;
  readonly windowMs: number;
}

/** How calls of tracking SDKs are read. */
export interface TrackingSettings {
  /** Smallest difference between `sentAt` and the time of receipt that counts as a wrong clock of the client. */
  readonly clockOffsetMs: number;
  /** Ids that identify no person and never link profiles, in any case. */
  readonly placeholderIds: readonly string[];
  /** Most known users that one anonymous id is merged with, undone merges included. */
  readonly usersPerAnonymousIdMax: number;
}

export interface ModuleDefinition {
  readonly name: ServiceName;
  /** Folder of numbered migrations. */
  readonly migrations: URL;
  build(platform: Platform): Promise<Module>;
}

export interface Module {
  readonly services: readonly ServiceImplementation[];
  readonly workers: readonly Worker[];
  /** Verifies the signatures of partners, where the module has methods for partners. */
  readonly partners?: PartnerVerifier;
}

/** A task that runs beside the requests. */
export interface Worker {
  readonly name: string;
  start(): Promise<void>;
  /** Finishes its current work and stops. */
  stop(): Promise<void>;
}
