// Opens what a mode provides to the process: databases, a bus, callers of other services. No other code
// branches on the mode.
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
  /** Databases of the services that run in this process. */
  readonly databases: ReadonlyMap<ServiceName, Database>;
  readonly bus: Bus;
  /** The installation's key, from which all other keys are derived. */
  readonly secret: Uint8Array;
  /** No other process uses these databases. */
  readonly isExclusive: boolean;
  /** The demo organization, in embedded mode. */
  readonly demo: DemoOrganization | undefined;
  /** Calls a service that another process runs. */
  remoteCaller(service: ServiceName): Caller;
  /**
   * Resolves once the databases respond and their schemas are current; rejects with a StartError when a
   * schema is older.
   */
  untilUsable(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface DemoOrganization {
  readonly organizationId: OrganizationId;
  /** Path of the file with the API key. */
  readonly apiKeyPath: string;
  /** The API key, only when this start created it. */
  readonly newApiKey: string | undefined;
}

export async function openPlatform(config: Config, deps: PlatformDeps): Promise<OpenPlatform> {
  // Imported on demand, so that neither mode loads the drivers of the other.
  switch (config.mode) {
    case "embedded":
      return (await import("./platform-embedded.ts")).openEmbeddedPlatform(config, deps);
    case "production":
      return (await import("./platform-production.ts")).openProductionPlatform(config, deps);
    default:
      return assertNever(config.mode);
  }
}

/** Databases for administrative commands, created where they are missing. */
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
