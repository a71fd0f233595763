// Writes identity changes inside a transaction and collects the messages to publish.
import type { IdSource, OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import { profileChanged } from "../domain-events/domain-events.ts";
import type { Profile } from "../profile-storage/profile.ts";
import { insertProfiles } from "../profile-storage/profile-store.ts";
import type { ChangeOrigin } from "./change-origin.ts";
import { changesFromTraits } from "./changes-from-traits.ts";
import { IdentityConflict } from "./identity-transaction.ts";
import { LINKED_PROFILES_MAX } from "./links-store.ts";
import { canMerge, type IdentityChange, type MergeDeps, mergeLockedGroups } from "./merge-profile-groups.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "./profile-group.ts";
import { type ProfileFieldChanges, updateProfileGroup } from "./update-profile-group.ts";

/** The dependencies of identity changes that may create profiles. */
export interface IdentityWriterDeps extends MergeDeps {
  readonly profileIds: IdSource;
}

/** Collects the changes of one claim. `finish` returns the resulting group and all messages. */
export class IdentityWriter {
  readonly trx: Transaction;
  readonly #deps: IdentityWriterDeps;
  readonly #origin: ChangeOrigin;
  readonly #drafts: OutboxDraft[] = [];
  readonly #nowMs: number;
  #hasChanged = false;

  constructor(deps: IdentityWriterDeps, trx: Transaction, origin: ChangeOrigin) {
    this.#deps = deps;
    this.trx = trx;
    this.#origin = origin;
    this.#nowMs = deps.clock.nowMs();
  }

  get organizationId(): OrganizationId {
    return this.#origin.organizationId;
  }

  async create(ids: {
    userId?: string | undefined;
    anonymousId?: string | undefined;
  }): Promise<ProfileGroup> {
    const profile: Profile = {
      organizationId: this.#origin.organizationId,
      id: this.#deps.profileIds.next<ProfileId>(this.#nowMs),
      userId: ids.userId,
      anonymousId: ids.anonymousId,
      email: undefined,
      name: undefined,
      traits: "{}",
      createMs: this.#nowMs,
      updateMs: this.#nowMs,
    };
    await insertProfiles(this.trx, [profile]);
    this.#hasChanged = true;
    return { root: { ...profile, mergedInto: undefined, overriddenAt: {} }, merged: [] };
  }

  async change(group: ProfileGroup, changes: ProfileFieldChanges): Promise<ProfileGroup> {
    this.#hasChanged = true;
    try {
      return await updateProfileGroup(this.trx, group, changes, { nowMs: this.#nowMs, fieldPrefix: "" });
    } catch (error) {
      // A concurrent transaction took the identity after it was found free. The retry will find the owner.
      const isTaken = error instanceof AppError && error.reason === "PROFILE_IDENTITY_TAKEN";
      throw isTaken ? new IdentityConflict() : error;
    }
  }

  async setTraits(group: ProfileGroup, traits: string): Promise<ProfileGroup> {
    const changes = await changesFromTraits(this.trx, group, traits);
    return Object.keys(changes).length === 0 ? group : this.change(group, changes);
  }

  /** Creates a profile and merges it into the group; does nothing if the group has the maximum size. */
  async mergeNew(ids: { anonymousId: string }, target: ProfileGroup): Promise<ProfileGroup> {
    if (groupProfiles(target).length >= LINKED_PROFILES_MAX) return target;
    return this.merge(await this.create(ids), target);
  }

  async merge(source: ProfileGroup, target: ProfileGroup): Promise<ProfileGroup> {
    const { group, drafts } = await mergeLockedGroups(this.#deps, this.trx, this.#origin, {
      source,
      target,
    });
    this.#drafts.push(...drafts);
    return group;
  }

  /** Merges the groups unless the result would exceed a limit. */
  async mergeIfAllowed(source: ProfileGroup, target: ProfileGroup): Promise<ProfileGroup> {
    return canMerge(source, target) ? this.merge(source, target) : target;
  }

  finish(group: ProfileGroup): IdentityChange {
    const drafts = [...this.#drafts];
    if (this.#hasChanged) drafts.push(profileChanged(effectiveProfile(group), this.#origin.traceParent));
    return { group, drafts };
  }
}
