// Applies identity claims of identify and alias calls inside a transaction: finds the profiles of the ids,
// creates missing profiles and merges profiles where allowed.
import type { IdSource, OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import { profileChanged } from "../domain-events.ts";
import { findOwner } from "../profile-storage/identity-store.ts";
import type { Identity, Profile } from "../profile-storage/profile.ts";
import { insertProfiles } from "../profile-storage/profile-store.ts";
import type { ChangeOrigin } from "./change-origin.ts";
import { changesFromTraits } from "./changes-from-traits.ts";
import { IdentityConflict } from "./identity-conflict.ts";
import { LINKED_PROFILES_MAX } from "./links-store.ts";
import { lockProfileGroups } from "./load-profile-groups.ts";
import { canMerge, type IdentityChange, type MergeDeps, mergeLockedGroups } from "./merge-profile-groups.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "./profile-group.ts";
import { updateProfileGroup } from "./update-profile-group.ts";

export interface IdentifyDeps extends MergeDeps {
  readonly profileIds: IdSource;
}

export interface IdentifyClaim {
  /** At least one of the two ids is set. */
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  /** A JSON object; null removes a trait. */
  readonly traits: string;
}

/**
 * Links the ids to one profile group and sets the traits. An anonymous id of another user stays with that
 * user: an identify call never merges two profiles with user ids.
 */
export async function identifyProfile(
  deps: IdentifyDeps,
  trx: Transaction,
  origin: ChangeOrigin,
  { userId, anonymousId, traits }: IdentifyClaim,
): Promise<IdentityChange> {
  const writer = new IdentityWriter(deps, trx, origin);
  const [user, anonymous] = await lockOwners(trx, origin.organizationId, [
    userId === undefined ? [] : [{ kind: "user_id", value: userId }],
    anonymousId === undefined ? [] : [{ kind: "anonymous_id", value: anonymousId }],
  ]);
  const group = await link(writer, { userId, anonymousId, user, anonymous });
  return writer.finish(await writer.setTraits(group, traits));
}

/** Merges the owner of the previous id, a user id or else an anonymous id, into the user's profile group. */
export async function aliasProfile(
  deps: IdentifyDeps,
  trx: Transaction,
  origin: ChangeOrigin,
  { userId, previousId }: { readonly userId: string; readonly previousId: string },
): Promise<IdentityChange> {
  const writer = new IdentityWriter(deps, trx, origin);
  const [user, previous] = await lockOwners(trx, origin.organizationId, [
    [{ kind: "user_id", value: userId }],
    [
      { kind: "user_id", value: previousId },
      { kind: "anonymous_id", value: previousId },
    ],
  ]);
  if (previous === undefined || (user === undefined && !hasUser(previous))) {
    return writer.finish(await link(writer, { userId, anonymousId: previousId, user, anonymous: previous }));
  }
  const known = user ?? (await writer.create({ userId }));
  if (previous.root.id === known.root.id) return writer.finish(known);
  if (!canMerge(previous, known)) throw new AppError("MERGE_LIMIT_REACHED");
  return writer.finish(await writer.merge(previous, known));
}

interface Ids {
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  readonly user: ProfileGroup | undefined;
  readonly anonymous: ProfileGroup | undefined;
}

async function link(
  writer: IdentityWriter,
  { userId, anonymousId, user, anonymous }: Ids,
): Promise<ProfileGroup> {
  if (user === undefined && anonymous === undefined) return writer.create({ userId, anonymousId });
  if (user === undefined) {
    if (anonymous === undefined || (userId !== undefined && hasUser(anonymous)))
      return writer.create({ userId });
    return userId === undefined ? anonymous : writer.change(anonymous, { userId });
  }
  if (anonymousId === undefined || anonymous?.root.id === user.root.id) return user;
  if (anonymous !== undefined) return hasUser(anonymous) ? user : writer.mergeIfAllowed(anonymous, user);
  if (effectiveProfile(user).anonymousId === undefined) return writer.change(user, { anonymousId });
  return writer.mergeNew({ anonymousId }, user);
}

function hasUser(group: ProfileGroup): boolean {
  return groupProfiles(group).some(({ userId }) => userId !== undefined);
}

/** Finds and locks, for each list of identities, the profile group of the first identity with an owner. */
async function lockOwners(
  trx: Transaction,
  organizationId: OrganizationId,
  identityLists: readonly (readonly Identity[])[],
): Promise<(ProfileGroup | undefined)[]> {
  const find = async (): Promise<(ProfileId | undefined)[]> => {
    const found: (ProfileId | undefined)[] = [];
    for (const identities of identityLists) found.push(await findFirst(trx, organizationId, identities));
    return found;
  };
  const owners = await find();
  const groups = await lockProfileGroups(
    trx,
    organizationId,
    owners.filter((owner) => owner !== undefined),
  );
  // An identity may have moved before its profile group was locked. The lock prevents later moves.
  const now = await find();
  if (now.some((owner, index) => owner !== owners[index])) throw new IdentityConflict();
  return owners.map((owner) => owner && groups.get(owner));
}

async function findFirst(
  trx: Transaction,
  organizationId: OrganizationId,
  identities: readonly Identity[],
): Promise<ProfileId | undefined> {
  for (const identity of identities) {
    const owner = await findOwner(trx, organizationId, identity);
    if (owner !== undefined) return owner.profileId;
  }
  return undefined;
}

/** Writes identity changes and collects the messages to publish. */
class IdentityWriter {
  readonly #deps: IdentifyDeps;
  readonly #trx: Transaction;
  readonly #origin: ChangeOrigin;
  readonly #drafts: OutboxDraft[] = [];
  readonly #nowMs: number;
  #hasChanged = false;

  constructor(deps: IdentifyDeps, trx: Transaction, origin: ChangeOrigin) {
    this.#deps = deps;
    this.#trx = trx;
    this.#origin = origin;
    this.#nowMs = deps.clock.nowMs();
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
    return { root: { ...profile, mergedInto: undefined, settled: {} }, merged: [] };
  }

  async change(
    group: ProfileGroup,
    changes: Parameters<typeof updateProfileGroup>[2],
  ): Promise<ProfileGroup> {
    this.#hasChanged = true;
    try {
      return await updateProfileGroup(this.#trx, group, changes, { nowMs: this.#nowMs, fieldPrefix: "" });
    } catch (error) {
      // A concurrent transaction took the identity after it was found free. The retry will find the owner.
      const isTaken = error instanceof AppError && error.reason === "PROFILE_IDENTITY_TAKEN";
      throw isTaken ? new IdentityConflict() : error;
    }
  }

  async setTraits(group: ProfileGroup, traits: string): Promise<ProfileGroup> {
    const changes = await changesFromTraits(this.#trx, group, traits);
    return Object.keys(changes).length === 0 ? group : this.change(group, changes);
  }

  /** Creates a profile and merges it into the group; does nothing if the group has the maximum size. */
  async mergeNew(ids: { anonymousId: string }, target: ProfileGroup): Promise<ProfileGroup> {
    if (groupProfiles(target).length >= LINKED_PROFILES_MAX) return target;
    return this.merge(await this.create(ids), target);
  }

  async merge(source: ProfileGroup, target: ProfileGroup): Promise<ProfileGroup> {
    const { group, drafts } = await mergeLockedGroups(this.#deps, this.#trx, this.#origin, {
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
