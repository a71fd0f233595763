// Merges and separates profile groups inside a transaction. Rows do not move: a merge links profiles, and
// reads and published messages follow the links.
import type { Clock, IdSource, OrganizationId, ProfileId } from "@muster/core";
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";
import type { OutboxDraft, OutboxPort } from "@muster/outbox";
import {
  profileChanged,
  profileMerged,
  profileUnmerged,
  shardsOfIdentityChanges,
} from "../domain-events/domain-events.ts";
import { updateIdentityRoots } from "../profile-storage/identity-store.ts";
import { identitiesOf } from "../profile-storage/profile.ts";
import type { ChangeOrigin } from "./change-origin.ts";
import { incrementIdentityVersions } from "./identity-versions-store.ts";
import { LINKED_PROFILES_MAX, raiseUpdateTime, updateLink, updateRoots } from "./links-store.ts";
import { lockProfileGroups } from "./load-profile-groups.ts";
import { insertMerge, markMergeUndone } from "./merges-store.ts";
import {
  branchOf,
  effectiveProfile,
  groupProfileIds,
  groupProfiles,
  keepAppendedProfile,
  nextMergeMs,
  type ProfileGroup,
} from "./profile-group.ts";

/** Maximum size of the traits of all linked profiles, because a read loads all of them into memory. */
const GROUP_TRAITS_BYTES_MAX = 1024 * 1024;

/** A feature's part in a change of identity links. The core calls hooks without knowledge of features. */
export interface IdentityChangeHook {
  /**
   * Runs before links of these roots change, inside the transaction that holds the row locks of the roots.
   */
  beforeChange(
    trx: Transaction,
    organizationId: OrganizationId,
    rootIds: readonly ProfileId[],
  ): Promise<void>;
}

/** The dependencies of merges. */
export interface MergeDeps {
  readonly clock: Clock;
  readonly ids: IdSource;
  /** In a fixed order, so that every transaction acquires the locks of the hooks in the same order. */
  readonly identityChangeHooks: readonly IdentityChangeHook[];
}

/** The changed group, and the messages to publish at the end of the transaction. */
export interface IdentityChange {
  readonly group: ProfileGroup;
  readonly drafts: readonly OutboxDraft[];
}

/** Locks both groups and merges the group of `profileId` into the group of `intoId`. */
export async function lockAndMerge(
  deps: MergeDeps,
  trx: Transaction,
  origin: ChangeOrigin & { readonly profileId: ProfileId; readonly intoId: ProfileId },
): Promise<IdentityChange> {
  const groups = await lockProfileGroups(trx, origin.organizationId, [origin.profileId, origin.intoId]);
  const source = groups.get(origin.profileId);
  const target = groups.get(origin.intoId);
  if (source === undefined || target === undefined) throw new AppError("PROFILE_NOT_FOUND");
  if (source.root.id === target.root.id) throw new AppError("PROFILE_MERGED_BEFORE");
  if (!canMerge(source, target)) throw new AppError("MERGE_LIMIT_REACHED");
  return mergeLockedGroups(deps, trx, origin, { source, target });
}

/** Whether the merged group would stay within the limits of linked profiles and traits. */
export function canMerge(one: ProfileGroup, other: ProfileGroup): boolean {
  const profiles = [...groupProfiles(one), ...groupProfiles(other)];
  const bytes = profiles.reduce((sum, { traits }) => sum + Buffer.byteLength(traits), 0);
  return profiles.length <= LINKED_PROFILES_MAX && bytes <= GROUP_TRAITS_BYTES_MAX;
}

/** Like `lockAndMerge`, for two different locked groups for which `canMerge` holds. */
export async function mergeLockedGroups(
  deps: MergeDeps,
  trx: Transaction,
  origin: ChangeOrigin,
  { source, target }: { readonly source: ProfileGroup; readonly target: ProfileGroup },
): Promise<IdentityChange> {
  const { organizationId, traceParent } = origin;
  const nowMs = deps.clock.nowMs();
  const rootId = target.root.id;
  const parentLink = { parentId: rootId, rootId, atMs: nextMergeMs(target, nowMs) };
  for (const hook of deps.identityChangeHooks)
    await hook.beforeChange(trx, organizationId, [source.root.id, rootId]);
  await updateLink(trx, organizationId, source.root.id, parentLink);
  await updateRoots(
    trx,
    organizationId,
    source.merged.map(({ id }) => id),
    rootId,
  );
  await updateIdentityRoots(trx, organizationId, groupProfiles(source).flatMap(identitiesOf), rootId);
  await raiseUpdateTime(trx, organizationId, rootId, nowMs);
  await insertMerge(trx, {
    organizationId,
    id: deps.ids.next(nowMs),
    profileId: source.root.id,
    intoId: rootId,
    actor: origin.actor,
    mergedMs: nowMs,
  });
  const group: ProfileGroup = {
    root: { ...target.root, updateMs: Math.max(nowMs, target.root.updateMs) },
    merged: [
      ...target.merged,
      { ...source.root, mergedInto: parentLink },
      ...source.merged.map((profile) => ({
        ...profile,
        mergedInto: profile.mergedInto && { ...profile.mergedInto, rootId },
      })),
    ],
  };
  keepAppendedProfile(target, source, group);
  const pair = { organizationId, profileId: source.root.id, rootId, traceParent };
  return { group, drafts: [...profileMerged(pair), ...profileChangedIfVisible(target, group, traceParent)] };
}

/** Separates the profile, together with all profiles merged into the profile, as a group. */
export async function lockAndUnmerge(
  deps: MergeDeps,
  trx: Transaction,
  origin: ChangeOrigin & { readonly profileId: ProfileId },
): Promise<IdentityChange> {
  const { organizationId, profileId, traceParent } = origin;
  const whole = (await lockProfileGroups(trx, organizationId, [profileId])).get(profileId);
  if (whole === undefined) throw new AppError("PROFILE_NOT_FOUND");
  const branch = branchOf(whole, profileId);
  if (branch === undefined) throw new AppError("PROFILE_NOT_MERGED");
  const nowMs = deps.clock.nowMs();
  for (const hook of deps.identityChangeHooks)
    await hook.beforeChange(trx, organizationId, [whole.root.id, profileId]);
  await updateLink(trx, organizationId, profileId, undefined);
  await updateRoots(
    trx,
    organizationId,
    branch.merged.map(({ id }) => id),
    profileId,
  );
  await updateIdentityRoots(trx, organizationId, identitiesOf(branch.root), undefined);
  await updateIdentityRoots(trx, organizationId, branch.merged.flatMap(identitiesOf), profileId);
  const rootId = whole.root.id;
  for (const id of [rootId, profileId].sort()) await raiseUpdateTime(trx, organizationId, id, nowMs);
  await markMergeUndone(trx, organizationId, profileId, { actor: origin.actor, atMs: nowMs });
  const gone = new Set(groupProfileIds(branch));
  const rest: ProfileGroup = { root: whole.root, merged: whole.merged.filter(({ id }) => !gone.has(id)) };
  const group: ProfileGroup = {
    root: { ...branch.root, mergedInto: undefined, updateMs: Math.max(nowMs, branch.root.updateMs) },
    merged: branch.merged.map((profile) => ({
      ...profile,
      mergedInto: profile.mergedInto && { ...profile.mergedInto, rootId: profileId },
    })),
  };
  const drafts = [
    ...profileUnmerged({ organizationId, profileId, rootId, traceParent }),
    ...profileChangedIfVisible(whole, rest, traceParent),
    profileChanged(effectiveProfile(group), traceParent),
  ];
  return { group, drafts };
}

/**
 * Appends the messages at the end of a transaction and increments the identity versions. The transaction then
 * holds the positions of its shards. A transaction that used the previous identity graph has committed
 * before, or will run again.
 */
export async function appendIdentityChange(
  outbox: Pick<OutboxPort, "append">,
  trx: Transaction,
  drafts: readonly OutboxDraft[],
): Promise<void> {
  await outbox.append(trx, drafts);
  await incrementIdentityVersions(trx, shardsOfIdentityChanges(drafts));
}

/** Returns no message if the published fields of the group did not change. */
function profileChangedIfVisible(
  before: ProfileGroup,
  after: ProfileGroup,
  traceParent: string,
): OutboxDraft[] {
  const [was, is] = [effectiveProfile(before), effectiveProfile(after)];
  const isSame = was.traits === is.traits && was.createMs === is.createMs;
  return isSame ? [] : [profileChanged(is, traceParent)];
}
