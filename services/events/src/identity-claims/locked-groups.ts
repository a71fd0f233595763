// Locks the profile groups that the identity claims of one transaction affect, all at once, and keeps the
// groups up to date while the claims change them. Claims therefore read no group twice.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { IdentityConflict } from "../identity-graph/identity-transaction.ts";
import { lockProfileGroups } from "../identity-graph/load-profile-groups.ts";
import type { ProfileGroup } from "../identity-graph/profile-group.ts";
import { findOwners } from "../profile-storage/identity-store.ts";
import {
  type Identity,
  type IdentityKind,
  identitiesOf,
  type ProfileLink,
} from "../profile-storage/profile.ts";

/** The locked groups of one transaction. */
export class LockedGroups {
  /** The root profile that an identity had when the group was last set. */
  readonly #rootIds = new Map<string, ProfileId>();
  readonly #groups = new Map<ProfileId, ProfileGroup>();
  /** Former roots with the roots into which the claims merged them. */
  readonly #mergedInto = new Map<ProfileId, ProfileId>();

  /**
   * Finds and locks the groups of the identities. Rejects with IdentityConflict if a concurrent transaction
   * moved an identity before its group was locked; the locks prevent later moves.
   */
  static async lock(
    trx: Transaction,
    organizationId: OrganizationId,
    identities: readonly Identity[],
  ): Promise<LockedGroups> {
    const groups = new LockedGroups();
    const owners = await ownersOf(trx, organizationId, identities);
    const profileIds = [...new Set(Array.from(owners.values(), ({ profileId }) => profileId))];
    const locked = await lockProfileGroups(trx, organizationId, profileIds);
    const now = await ownersOf(trx, organizationId, identities);
    if (now.size !== owners.size) throw new IdentityConflict();
    for (const [key, { profileId }] of now) {
      const group = locked.get(profileId);
      if (group === undefined || owners.get(key)?.profileId !== profileId) throw new IdentityConflict();
      groups.#rootIds.set(key, group.root.id);
      groups.#groups.set(group.root.id, group);
    }
    return groups;
  }

  /** Returns the group that has the identity now; undefined if no profile has it. */
  find(identity: Identity): ProfileGroup | undefined {
    let rootId = this.#rootIds.get(keyOf(identity));
    for (let next = rootId; next !== undefined; next = this.#mergedInto.get(next)) rootId = next;
    return rootId && this.#groups.get(rootId);
  }

  /** Keeps a new or changed group. */
  set(group: ProfileGroup): void {
    this.#groups.set(group.root.id, group);
    for (const identity of identitiesOf(group.root)) this.#rootIds.set(keyOf(identity), group.root.id);
  }

  /** Keeps the result of a merge of two groups. */
  setMerged(source: ProfileGroup, merged: ProfileGroup): void {
    this.#mergedInto.set(source.root.id, merged.root.id);
    this.#groups.delete(source.root.id);
    this.#groups.set(merged.root.id, merged);
  }
}

async function ownersOf(
  trx: Transaction,
  organizationId: OrganizationId,
  identities: readonly Identity[],
): Promise<Map<string, ProfileLink>> {
  const owners = new Map<string, ProfileLink>();
  const byKind = new Map<IdentityKind, Set<string>>();
  for (const { kind, value } of identities) byKind.set(kind, (byKind.get(kind) ?? new Set()).add(value));
  for (const [kind, values] of byKind) {
    const found = await findOwners(trx, organizationId, kind, [...values].sort());
    for (const [value, owner] of found) owners.set(keyOf({ kind, value }), owner);
  }
  return owners;
}

function keyOf({ kind, value }: Identity): string {
  return `${kind}/${value}`;
}
