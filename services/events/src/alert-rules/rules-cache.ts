// Caches the prepared rules of organizations by version. The evaluating transaction reads the current version
// from the database.
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { LRUCache } from "lru-cache";
import type { RuleSet } from "./rule-set.ts";
import { defaultRuleSet, readRules, readVersions } from "./rule-store.ts";

/** Cached organizations. The least recently used entry is evicted first. */
const ORGANIZATIONS_MAX = 2000;

/** A cache for one process. Every read compares the version with the database. */
export class RulesCache {
  readonly #sets = new LRUCache<OrganizationId, RuleSet>({ max: ORGANIZATIONS_MAX });

  /** Returns the current rule set of each organization. */
  async of(
    trx: Transaction,
    organizationIds: readonly OrganizationId[],
  ): Promise<Map<OrganizationId, RuleSet>> {
    const versions = await readVersions(trx, organizationIds);
    const sets = new Map<OrganizationId, RuleSet>();
    for (const organizationId of organizationIds) {
      const version = versions.get(organizationId) ?? 0;
      const kept = this.#sets.get(organizationId);
      const set = kept?.version === version ? kept : await read(trx, organizationId, version);
      this.#sets.set(organizationId, set);
      sets.set(organizationId, set);
    }
    return sets;
  }
}

/** A set that changed after the version was read is cached under the newer version. */
function read(trx: Transaction, organizationId: OrganizationId, version: number): Promise<RuleSet> {
  return version === 0 ? Promise.resolve(defaultRuleSet(organizationId)) : readRules(trx, organizationId);
}
