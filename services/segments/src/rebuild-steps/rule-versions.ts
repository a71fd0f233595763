// Declares what rebuilds need from rule versions. Passed in, because rule versions depend on backfills.
import type { OrganizationId } from "@muster/core";
import type { Queryable, Transaction } from "@muster/db";
import type { ChangedProfile } from "../announcements/changed-profile.ts";
import type { Definitions } from "../engine/state/definitions.ts";

export interface RuleVersions {
  /** The newest definitions of a provisioned organization. */
  loadProvisioned(db: Queryable, organizationId: OrganizationId): Promise<Definitions>;
  /** Locks the organization's segments until the transaction ends. */
  lockOrganization(trx: Transaction, organizationId: OrganizationId): Promise<unknown>;
  /** Publishes exits of emptied profiles of one shard that only a replaced rule still counts as members. */
  publishRemoved(trx: Transaction, profiles: readonly ChangedProfile[], nowMs: number): Promise<void>;
  /** Lets pending rules serve after their last backfill. The organization is locked. */
  switchFinishedRules(trx: Transaction, organizationId: OrganizationId): Promise<void>;
}
