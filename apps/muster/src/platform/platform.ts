// Declares the parts of a mode: databases, a bus, callers of other services.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, OrganizationId } from "@muster/core";
import type { Database } from "@muster/db";
import type { Logger } from "@muster/log";
import type { MailTransport, StoredMails } from "@muster/mail";
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
  /** Undefined in a process that sends no mails. */
  readonly mail: MailTransport | undefined;
  /** Mails of an installation without a mail server, in embedded mode. */
  readonly storedMails: StoredMails | undefined;
  /** The installation's key, from which all other keys are derived. */
  readonly secret: Uint8Array;
  /** The key of identity, where identity runs in this process. */
  readonly identitySecret: Uint8Array | undefined;
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
  readonly owner: DemoOwner;
}

export interface DemoOwner {
  readonly email: string;
  /** Path of the file with the password. */
  readonly passwordPath: string;
  /** The password, only when this start created the owner. */
  readonly newPassword: string | undefined;
}

/** Databases for administrative commands, created where they are missing. */
export interface OpenDatabases {
  readonly databases: ReadonlyMap<ServiceName, Database>;
  close(): Promise<void>;
}
