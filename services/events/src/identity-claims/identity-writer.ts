// Writes identity changes inside a transaction and collects the messages to publish.
import type { IdSource, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import { profileChanged } from "../domain-events/domain-events.ts";
import type { ChangeOrigin } from "../identity-graph/change-origin.ts";
import { IdentityConflict } from "../identity-graph/identity-transaction.ts";
import { LINKED_PROFILES_MAX } from "../identity-graph/links-store.ts";
import {
  canMerge,
  type IdentityChange,
  type MergeDeps,
  mergeLockedGroups,
} from "../identity-graph/merge-profile-groups.ts";
import { listDirectMergeTargets } from "../identity-graph/merges-store.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "../identity-graph/profile-group.ts";
import { type ProfileFieldChanges, updateProfileGroup } from "../identity-graph/update-profile-group.ts";
import type { Profile } from "../profile-storage/profile.ts";
import { insertProfiles } from "../profile-storage/profile-store.ts";
import { changesFromTraits } from "./changes-from-traits.ts";
import type { IdentifyClaim, SkippedLink } from "./identity-claim.ts";
import type { LockedGroups } from "./locked-groups.ts";

/** The dependencies of identity changes that may create profiles. */
export interface IdentityWriterDeps extends MergeDeps {
  readonly profileIds: IdSource;
  /** Most known users that one anonymous id is merged with, undone merges included. */
  readonly usersPerAnonymousIdMax: number;
}

/** The changed group and all messages. `skipped` names the reason if the ids were not linked. */
export interface WrittenClaim extends IdentityChange {
  readonly skipped: SkippedLink | undefined;
}

/** Collects the changes of one claim. `finish` returns all messages, and why a link was skipped. */
export class IdentityWriter {
  readonly groups: LockedGroups;
  readonly #trx: Transaction;
  readonly #deps: IdentityWriterDeps;
  readonly #origin: ChangeOrigin;
  readonly #drafts: OutboxDraft[] = [];
  readonly #nowMs: number;
  #hasChanged = false;
  #skipped: SkippedLink | undefined;

  constructor(deps: IdentityWriterDeps, trx: Transaction, origin: ChangeOrigin, groups: LockedGroups) {
    this.#deps = deps;
    this.#trx = trx;
    this.#origin = origin;
    this.groups = groups;
    this.#nowMs = deps.clock.nowMs();
  }

  /** Records why the claim does not link its ids. */
  skip(reason: SkippedLink): void {
    this.#skipped = reason;
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
    await insertProfiles(this.#trx, [profile]);
    this.#hasChanged = true;
    return this.#keep({ root: { ...profile, mergedInto: undefined, overriddenAt: {} }, merged: [] });
  }

  async change(group: ProfileGroup, changes: ProfileFieldChanges): Promise<ProfileGroup> {
    this.#hasChanged = true;
    try {
      const options = { nowMs: this.#nowMs, fieldPrefix: "" };
      return this.#keep(await updateProfileGroup(this.#trx, group, changes, options));
    } catch (error) {
      // A concurrent transaction took the identity after it was found free. The retry will find the owner.
      const isTaken = error instanceof AppError && error.reason === "PROFILE_IDENTITY_TAKEN";
      throw isTaken ? new IdentityConflict() : error;
    }
  }

  async setTraits(group: ProfileGroup, claim: IdentifyClaim): Promise<ProfileGroup> {
    const changes = await changesFromTraits(this.#trx, group, claim);
    return Object.keys(changes).length === 0 ? group : this.change(group, changes);
  }

  /** Creates a profile and merges it into the group; skips the link if the group has the maximum size. */
  async mergeNew(ids: { anonymousId: string }, target: ProfileGroup): Promise<ProfileGroup> {
    if (groupProfiles(target).length < LINKED_PROFILES_MAX)
      return this.#merge(await this.create(ids), target);
    this.skip("merge_limit");
    return target;
  }

  /** Merges the group of an anonymous id into the group of a user; skips the link at a limit. */
  async mergeIfAllowed(source: ProfileGroup, target: ProfileGroup): Promise<ProfileGroup> {
    const skipped = canMerge(source, target)
      ? await this.#hasTooManyUsers(source, target)
      : ("merge_limit" as const);
    if (skipped === undefined) return this.#merge(source, target);
    this.skip(skipped);
    return target;
  }

  finish(group: ProfileGroup): WrittenClaim {
    const drafts = [...this.#drafts];
    if (this.#hasChanged) drafts.push(profileChanged(effectiveProfile(group), this.#origin.traceParent));
    return { group, drafts, skipped: this.#skipped };
  }

  async #hasTooManyUsers(source: ProfileGroup, target: ProfileGroup): Promise<SkippedLink | undefined> {
    const { organizationId } = this.#origin;
    const users = await listDirectMergeTargets(this.#trx, organizationId, source.root.id);
    if (users.has(target.root.id) || users.size < this.#deps.usersPerAnonymousIdMax) return undefined;
    return "users_per_anonymous_id";
  }

  async #merge(source: ProfileGroup, target: ProfileGroup): Promise<ProfileGroup> {
    const { group, drafts } = await mergeLockedGroups(this.#deps, this.#trx, this.#origin, {
      source,
      target,
    });
    this.#drafts.push(...drafts);
    this.groups.setMerged(source, group);
    return group;
  }

  #keep(group: ProfileGroup): ProfileGroup {
    this.groups.set(group);
    return group;
  }
}
