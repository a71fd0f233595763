// Declares the dependencies of identity's handlers.
import type { Bus } from "@muster/bus";
import type { Clock, IdSource, PageTokens } from "@muster/core";
import type { Database } from "@muster/db";
import type { ApiKeyStore } from "./api-keys/api-key-store.ts";
import type { OrganizationStore } from "./organizations/organization-store.ts";

export interface IdentityDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly database: Database;
  readonly pageTokens: PageTokens;
  readonly organizations: OrganizationStore;
  readonly apiKeys: ApiKeyStore;
  readonly bus: Bus;
  /** Every permission that a method of the installation requires. */
  readonly knownPermissions: ReadonlySet<string>;
}
