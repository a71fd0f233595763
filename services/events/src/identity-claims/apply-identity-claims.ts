// Applies identity claims of identify and alias calls inside a transaction: finds the profiles of the ids,
// creates missing profiles and merges profiles where allowed.
import { WorkBudget } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import type { ChangeOrigin } from "../identity-graph/change-origin.ts";
import { effectiveProfile, groupProfiles, type ProfileGroup } from "../identity-graph/profile-group.ts";
import type { Identity } from "../profile-storage/profile.ts";
import { traitsTooLargeError } from "./changes-from-traits.ts";
import type { AliasClaim, IdentifyClaim, IdentityClaim, SkippedLink } from "./identity-claim.ts";
import { IdentityWriter, type IdentityWriterDeps } from "./identity-writer.ts";
import { LockedGroups } from "./locked-groups.ts";

/** Estimated processor time of one claim, in units of a budget. */
const CLAIM_UNITS = 500;

/** Longer than usual, because other tasks run at each turn while the transaction holds the locks. */
const SLICE_MS = 20;

/** The result of one claim. A rejected claim has changed nothing. */
export interface AppliedClaim {
  /** The group of the claim's person. */
  readonly group?: ProfileGroup | undefined;
  readonly drafts: readonly OutboxDraft[];
  /** The claim linked nothing for this reason, although it succeeded. */
  readonly skipped?: SkippedLink | undefined;
  /** MERGE_LIMIT_REACHED or FIELD_INVALID: the claim cannot apply. */
  readonly rejected?: AppError;
}

/**
 * Applies claims in order, with one lookup and one lock for all groups. Rejects with FIELD_INVALID if a claim
 * cannot apply and was noticed too late to leave the other claims standing.
 */
export async function applyIdentityClaims(
  deps: IdentityWriterDeps,
  trx: Transaction,
  origin: ChangeOrigin,
  claims: readonly IdentityClaim[],
): Promise<readonly AppliedClaim[]> {
  const groups = await LockedGroups.lock(trx, origin.organizationId, claims.flatMap(identitiesOfClaim));
  const applied: AppliedClaim[] = [];
  const budget = WorkBudget.inSlices({ clock: deps.clock, sliceMs: SLICE_MS });
  for (const claim of claims) {
    budget.spend(CLAIM_UNITS);
    if (budget.isSliceOver) await budget.turn();
    const writer = new IdentityWriter(deps, trx, origin, groups);
    applied.push(await (claim.kind === "identify" ? identify(writer, claim) : alias(writer, claim)));
  }
  return applied;
}

function identitiesOfClaim(claim: IdentityClaim): Identity[] {
  const ids = claim.kind === "identify" ? [claim.anonymousId] : [claim.previousId];
  const users = claim.kind === "identify" ? [claim.userId] : [claim.userId, claim.previousId];
  return [
    ...users.flatMap((value): Identity[] => (value === undefined ? [] : [{ kind: "user_id", value }])),
    ...ids.flatMap((value): Identity[] => (value === undefined ? [] : [{ kind: "anonymous_id", value }])),
  ];
}

/**
 * Links the ids to one profile group and sets the traits. An anonymous id of another user stays with that
 * user: an identify call never merges two profiles with user ids.
 */
async function identify(writer: IdentityWriter, claim: IdentifyClaim): Promise<AppliedClaim> {
  const ids = idsOf(writer, claim.userId, claim.anonymousId);
  const rejected = traitsTooLargeError(ids.user ?? ids.anonymous, claim.traits);
  if (rejected !== undefined) return { drafts: [], rejected };
  const group = await link(writer, ids);
  return writer.finish(await writer.setTraits(group, claim));
}

/**
 * Links the previous id, a user id or else an anonymous id, to the user. Only `MergeProfile` merges two known
 * users.
 */
async function alias(writer: IdentityWriter, { userId, previousId }: AliasClaim): Promise<AppliedClaim> {
  const ids = idsOf(writer, userId, previousId);
  const previous = writer.groups.find({ kind: "user_id", value: previousId }) ?? ids.anonymous;
  if (previous !== undefined && hasUser(previous)) {
    const isSame = previous.root.id === ids.user?.root.id;
    return { group: ids.user, drafts: [], ...(!isSame && { skipped: "known_users" }) };
  }
  const group = await link(writer, ids);
  const applied = writer.finish(group);
  const isFull = applied.skipped === "merge_limit";
  return isFull ? { drafts: [], rejected: new AppError("MERGE_LIMIT_REACHED") } : applied;
}

interface Ids {
  readonly userId: string | undefined;
  readonly anonymousId: string | undefined;
  readonly user: ProfileGroup | undefined;
  readonly anonymous: ProfileGroup | undefined;
}

function idsOf({ groups }: IdentityWriter, userId: string | undefined, anonymousId: string | undefined): Ids {
  return {
    userId,
    anonymousId,
    user: userId === undefined ? undefined : groups.find({ kind: "user_id", value: userId }),
    anonymous:
      anonymousId === undefined ? undefined : groups.find({ kind: "anonymous_id", value: anonymousId }),
  };
}

/** Changes nothing if the link is skipped because of a limit. */
async function link(
  writer: IdentityWriter,
  { userId, anonymousId, user, anonymous }: Ids,
): Promise<ProfileGroup> {
  if (user === undefined) {
    if (anonymous === undefined) return writer.create({ userId, anonymousId });
    if (userId === undefined) return anonymous;
    if (!hasUser(anonymous)) return writer.change(anonymous, { userId });
    writer.skip("known_users");
    return writer.create({ userId });
  }
  if (anonymousId === undefined || anonymous?.root.id === user.root.id) return user;
  if (anonymous === undefined) {
    const isFree = (user.root.anonymousId ?? effectiveProfile(user).anonymousId) === undefined;
    return isFree ? writer.change(user, { anonymousId }) : writer.mergeNew({ anonymousId }, user);
  }
  if (!hasUser(anonymous)) return writer.mergeIfAllowed(anonymous, user);
  writer.skip("known_users");
  return user;
}

function hasUser(group: ProfileGroup): boolean {
  return groupProfiles(group).some(({ userId }) => userId !== undefined);
}
