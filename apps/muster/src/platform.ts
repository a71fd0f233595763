// What a mode gives the process: databases, a bus, the way to other services. The only place that
// knows that there is more than one mode.
import type { Bus } from "@muster/bus";
import type { Config } from "@muster/config";
import { assertNever, type Clock, type IdSource, type OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { Caller } from "@muster/rpc";
import type { ServiceName } from "@muster/runtime";

export interface PlatformDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly log: Logger;
}

export interface OpenPlatform {
  /** Of the services that run in this process. */
  readonly databases: ReadonlyMap<ServiceName, Database>;
  readonly bus: Bus;
  /** The installation's key, of which all others are derived. */
  readonly secret: Uint8Array;
  /** No other process uses these databases. */
  readonly isExclusive: boolean;
  /** The demo organization, where the mode has one. */
  readonly demo: DemoOrganization | undefined;
  /** Reaches a service that another process runs. */
  remoteCaller(service: ServiceName): Caller;
  /**
   * Resolves once the databases answer and their schemas are as new as this code; rejects with a
   * StartError when they are older.
   */
  untilUsable(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface DemoOrganization {
  readonly organizationId: OrganizationId;
  /** The file that holds its API key. */
  readonly apiKeyPath: string;
  /** The key itself, at its creation only. */
  readonly newApiKey: string | undefined;
}

export async function openPlatform(config: Config, deps: PlatformDeps): Promise<OpenPlatform> {
  // Loaded when asked for, so that neither mode pays for the other's drivers.
  switch (config.mode) {
    case "embedded":
      return (await import("./platform-embedded.ts")).openEmbeddedPlatform(config, deps);
    case "production":
      return (await import("./platform-production.ts")).openProductionPlatform(config, deps);
    default:
      return assertNever(config.mode);
  }
}

/** The databases alone, made where they are missing: for commands that administer them. */
export interface OpenDatabases {
  readonly databases: ReadonlyMap<ServiceName, Database>;
  close(): Promise<void>;
}

export async function openDatabases(
  config: Config,
  services: readonly ServiceName[],
): Promise<OpenDatabases> {
  switch (config.mode) {
    case "embedded":
      return (await import("./platform-embedded.ts")).openEmbeddedDatabases(config, services);
    case "production":
      return (await import("./platform-production.ts")).openProductionDatabases(config, services);
    default:
      return assertNever(config.mode);
  }
}
