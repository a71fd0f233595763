// Applies identity claims of identify and alias calls inside a transaction: finds the profiles of the ids,
// creates missing profiles and merges profiles where allowed.
import type { OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import { findOwner } from "../profile-storage/identity-store.ts";
import type { Identity } from "../profile-storage/profile.ts";
import type { ChangeOrigin } from "./change-origin.ts";
import type { AliasClaim, IdentifyClaim, IdentityClaim } from "./identity-claim.ts";
import { IdentityConflict } from "./identity-transaction.ts";
import { IdentityWriter, type IdentityWriterDeps } from "./identity-writer.ts";
import { lockProfileGroups } from "./load-profile-groups.ts";
import { canMerge, type IdentityChange } from "./merge-profile-groups.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "./profile-group.ts";

/** Applies a claim. Rejects with MERGE_LIMIT_REACHED or FIELD_INVALID if the claim cannot apply. */
export function applyIdentityClaim(
  deps: IdentityWriterDeps,
  trx: Transaction,
  origin: ChangeOrigin,
  claim: IdentityClaim,
): Promise<IdentityChange> {
  const writer = new IdentityWriter(deps, trx, origin);
  return claim.kind === "identify" ? identify(writer, claim) : alias(writer, claim);
}

/**
 * Links the ids to one profile group and sets the traits. An anonymous id of another user stays with that
 * user: an identify call never merges two profiles with user ids.
 */
async function identify(
  writer: IdentityWriter,
  { userId, anonymousId, traits }: IdentifyClaim,
): Promise<IdentityChange> {
  const [user, anonymous] = await lockOwners(writer, [
    userId === undefined ? [] : [{ kind: "user_id", value: userId }],
    anonymousId === undefined ? [] : [{ kind: "anonymous_id", value: anonymousId }],
  ]);
  const group = await link(writer, { userId, anonymousId, user, anonymous });
  return writer.finish(await writer.setTraits(group, traits));
}

/** Merges the owner of the previous id, a user id or else an anonymous id, into the user's profile group. */
async function alias(writer: IdentityWriter, { userId, previousId }: AliasClaim): Promise<IdentityChange> {
  const [user, previous] = await lockOwners(writer, [
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
  { trx, organizationId }: IdentityWriter,
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
