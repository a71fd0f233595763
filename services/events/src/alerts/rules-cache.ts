// Each organisation's rules, made ready once for each version of them. Which version is the last is asked of
// the database in the transaction that judges by them.
import type { OrganizationId } from "@muster/core";
import type { Transaction } from "@muster/db";
import type { RuleSet } from "./rule-set.ts";
import { defaultRuleSet, readRules, readVersions } from "./rule-store.ts";

/** Organisations whose rules are kept ready; the one unused for longest goes first. */
const ORGANIZATIONS_MAX = 2000;

export class RulesCache {
  readonly #sets = new Map<OrganizationId, RuleSet>();

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
      this.#sets.delete(organizationId);
      this.#sets.set(organizationId, set);
      sets.set(organizationId, set);
    }
    for (const oldest of this.#sets.keys()) {
      if (this.#sets.size <= ORGANIZATIONS_MAX) break;
      this.#sets.delete(oldest);
    }
    return sets;
  }
}

/** Rules that changed again since the version was read are kept under their own. */
function read(trx: Transaction, organizationId: OrganizationId, version: number): Promise<RuleSet> {
  return version === 0 ? Promise.resolve(defaultRuleSet(organizationId)) : readRules(trx, organizationId);
}
