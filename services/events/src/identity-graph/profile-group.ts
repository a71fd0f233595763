// Composes the visible profile of a profile group: the root profile shows its own fields, and merged profiles
// fill missing fields. A merge moves no data. Pure.
import type { ProfileId } from "@muster/core";
import type { Profile, ProfileField, StoredProfile } from "../profile-storage/profile.ts";
import { fillTraits } from "./traits.ts";

/** A root profile and all profiles merged into the root, directly or through other merged profiles. */
export interface ProfileGroup {
  readonly root: StoredProfile;
  /** Unordered. */
  readonly merged: readonly StoredProfile[];
}

/** Groups never change, and a merge needs the same profile several times. */
const effectiveProfiles = new WeakMap<ProfileGroup, Profile>();

/** Returns the visible profile of the group. */
export function effectiveProfile(group: ProfileGroup): Profile {
  if (group.merged.length === 0) return group.root;
  let profile = effectiveProfiles.get(group);
  if (profile === undefined) {
    profile = composeProfile(group);
    effectiveProfiles.set(group, profile);
  }
  return profile;
}

/**
 * Keeps the visible profile of a group that a merge appends to: the newest merge fills what all others leave missing.
 * Only for a profile without traits and without merged profiles of its own, which changes no trait.
 */
export function keepAppendedProfile(target: ProfileGroup, source: ProfileGroup, group: ProfileGroup): void {
  const added = source.root;
  if (source.merged.length > 0 || added.traits !== "{}") return;
  const shown = effectiveProfile(target);
  effectiveProfiles.set(group, {
    organizationId: shown.organizationId,
    id: shown.id,
    userId: shown.userId ?? added.userId,
    anonymousId: shown.anonymousId ?? added.anonymousId,
    email: shown.email ?? added.email,
    name: shown.name ?? added.name,
    traits: shown.traits,
    createMs: Math.min(shown.createMs, added.createMs),
    updateMs: group.root.updateMs,
  });
}

function composeProfile(group: ProfileGroup): Profile {
  const { root, merged } = group;
  const sources = profilesInFillOrder(group);
  const first = (field: Exclude<ProfileField, "traits">): string | undefined =>
    sources.find(({ profile, hidden }) => profile[field] !== undefined && !hidden.has(field))?.profile[field];
  return {
    organizationId: root.organizationId,
    id: root.id,
    userId: first("userId"),
    anonymousId: first("anonymousId"),
    email: first("email"),
    name: first("name"),
    traits: fillTraits(
      sources.filter(({ hidden }) => !hidden.has("traits")).map(({ profile }) => profile.traits),
    ),
    createMs: merged.reduce((earliest, { createMs }) => Math.min(earliest, createMs), root.createMs),
    updateMs: root.updateMs,
  };
}

/** Returns all profiles of the group, the root first. */
export function groupProfiles({ root, merged }: ProfileGroup): StoredProfile[] {
  return [root, ...merged];
}

/** Returns the ids of all profiles of the group, the root's id first. */
export function groupProfileIds(group: ProfileGroup): ProfileId[] {
  return groupProfiles(group).map(({ id }) => id);
}

/** Returns a merged profile with all profiles merged into it, as a group: the part that an undo separates. */
export function branchOf(group: ProfileGroup, profileId: ProfileId): ProfileGroup | undefined {
  const root = group.merged.find(({ id }) => id === profileId);
  if (root === undefined) return undefined;
  const children = childrenOf(group);
  const branch = [root];
  // The array grows during the iteration.
  for (const { id } of branch) branch.push(...(children.get(id) ?? []));
  return { root, merged: branch.slice(1) };
}

/** Returns a time later than every merge into the root and every override of the root. */
export function nextMergeMs({ root, merged }: ProfileGroup, nowMs: number): number {
  let latestMs = Math.max(...Object.values(root.overriddenAt), Number.NEGATIVE_INFINITY);
  for (const { mergedInto } of merged) {
    if (mergedInto?.parentId === root.id) latestMs = Math.max(latestMs, mergedInto.atMs);
  }
  return Math.max(nowMs, latestMs + 1);
}

/** Returns the override times after an update of these fields: profiles merged so far no longer fill them. */
export function overrideFields(
  group: ProfileGroup,
  fields: readonly ProfileField[],
  nowMs: number,
): StoredProfile["overriddenAt"] {
  if (group.merged.length === 0 || fields.length === 0) return group.root.overriddenAt;
  const atMs = nextMergeMs(group, nowMs);
  return { ...group.root.overriddenAt, ...Object.fromEntries(fields.map((field) => [field, atMs])) };
}

interface FillSource {
  readonly profile: StoredProfile;
  readonly hidden: ReadonlySet<ProfileField>;
}

/**
 * Returns the profiles in the order in which they fill fields: each profile before the profiles merged into
 * it, and these in merge order. A merged group therefore contributes the same fields that it showed before
 * the merge.
 */
function profilesInFillOrder(group: ProfileGroup): FillSource[] {
  const children = childrenOf(group);
  const sources: FillSource[] = [];
  const waiting: FillSource[] = [{ profile: group.root, hidden: new Set() }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { profile, hidden } = next;
    sources.push(next);
    const merged = (children.get(profile.id) ?? []).sort(latestFirst);
    waiting.push(
      ...merged.map((child) => ({ profile: child, hidden: hiddenFieldsOf(child, profile, hidden) })),
    );
  }
  return sources;
}

function childrenOf({ merged }: ProfileGroup): Map<ProfileId | undefined, StoredProfile[]> {
  return Map.groupBy(merged, ({ mergedInto }) => mergedInto?.parentId);
}

function latestFirst(a: StoredProfile, b: StoredProfile): number {
  return (b.mergedInto?.atMs ?? 0) - (a.mergedInto?.atMs ?? 0) || (a.id < b.id ? 1 : -1);
}

function hiddenFieldsOf(
  child: StoredProfile,
  parent: StoredProfile,
  hidden: ReadonlySet<ProfileField>,
): ReadonlySet<ProfileField> {
  const overrides = Object.entries(parent.overriddenAt) as [ProfileField, number][];
  const more = overrides.filter(([, atMs]) => (child.mergedInto?.atMs ?? 0) <= atMs);
  return more.length === 0 ? hidden : new Set([...hidden, ...more.map(([field]) => field)]);
}
