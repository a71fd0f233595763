// Composes the visible profile of a profile group: the root profile shows its own fields, and merged profiles
// fill missing fields. A merge moves no data. Pure.
import type { ProfileId } from "@muster/core";
import type { Profile, ProfileField, StoredProfile } from "../profiles/profile.ts";
import { fillTraits } from "./traits.ts";

/** A root profile and all profiles merged into the root, directly or through other merged profiles. */
export interface Person {
  readonly root: StoredProfile;
  /** Unordered. */
  readonly merged: readonly StoredProfile[];
}

/** Returns the visible profile of the group. */
export function profileOf(person: Person): Profile {
  const { root, merged } = person;
  if (merged.length === 0) return root;
  const showing = showingProfiles(person);
  const first = (field: Exclude<ProfileField, "traits">): string | undefined =>
    showing.find(({ profile, hidden }) => profile[field] !== undefined && !hidden.has(field))?.profile[field];
  return {
    organizationId: root.organizationId,
    id: root.id,
    userId: first("userId"),
    anonymousId: first("anonymousId"),
    email: first("email"),
    name: first("name"),
    traits: fillTraits(
      showing.filter(({ hidden }) => !hidden.has("traits")).map(({ profile }) => profile.traits),
    ),
    createMs: merged.reduce((earliest, { createMs }) => Math.min(earliest, createMs), root.createMs),
    updateMs: root.updateMs,
  };
}

export function profilesOf({ root, merged }: Person): StoredProfile[] {
  return [root, ...merged];
}

/** Returns the ids of all profiles of the group, the root's id first. */
export function profileIdsOf(person: Person): ProfileId[] {
  return profilesOf(person).map(({ id }) => id);
}

/** Returns a merged profile with all profiles merged into it, as a group: the part that an undo separates. */
export function branchOf(person: Person, profileId: ProfileId): Person | undefined {
  const root = person.merged.find(({ id }) => id === profileId);
  if (root === undefined) return undefined;
  const children = childrenOf(person);
  const branch = [root];
  // The array grows during the iteration.
  for (const { id } of branch) branch.push(...(children.get(id) ?? []));
  return { root, merged: branch.slice(1) };
}

/** Returns a time later than every merge into the root and every override of the root. */
export function nextMergeMs({ root, merged }: Person, nowMs: number): number {
  let latestMs = Math.max(...Object.values(root.settled), Number.NEGATIVE_INFINITY);
  for (const { mergedInto } of merged) {
    if (mergedInto?.parentId === root.id) latestMs = Math.max(latestMs, mergedInto.atMs);
  }
  return Math.max(nowMs, latestMs + 1);
}

/** Returns the override times after an update of these fields: profiles merged so far no longer fill them. */
export function settle(
  person: Person,
  fields: readonly ProfileField[],
  nowMs: number,
): StoredProfile["settled"] {
  if (person.merged.length === 0 || fields.length === 0) return person.root.settled;
  const atMs = nextMergeMs(person, nowMs);
  return { ...person.root.settled, ...Object.fromEntries(fields.map((field) => [field, atMs])) };
}

interface Showing {
  readonly profile: StoredProfile;
  readonly hidden: ReadonlySet<ProfileField>;
}

/**
 * Returns the profiles in the order in which they fill fields: each profile before the profiles merged into
 * it, and these in merge order. A merged group therefore contributes the same fields that it showed before
 * the merge.
 */
function showingProfiles(person: Person): Showing[] {
  const children = childrenOf(person);
  const showing: Showing[] = [];
  const waiting: Showing[] = [{ profile: person.root, hidden: new Set() }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { profile, hidden } = next;
    showing.push(next);
    const merged = (children.get(profile.id) ?? []).sort(latestFirst);
    waiting.push(...merged.map((child) => ({ profile: child, hidden: hiddenOf(child, profile, hidden) })));
  }
  return showing;
}

function childrenOf({ merged }: Person): Map<ProfileId | undefined, StoredProfile[]> {
  return Map.groupBy(merged, ({ mergedInto }) => mergedInto?.parentId);
}

function latestFirst(a: StoredProfile, b: StoredProfile): number {
  return (b.mergedInto?.atMs ?? 0) - (a.mergedInto?.atMs ?? 0) || (a.id < b.id ? 1 : -1);
}

function hiddenOf(
  child: StoredProfile,
  parent: StoredProfile,
  hidden: ReadonlySet<ProfileField>,
): ReadonlySet<ProfileField> {
  const settled = Object.entries(parent.settled) as [ProfileField, number][];
  const more = settled.filter(([, atMs]) => (child.mergedInto?.atMs ?? 0) <= atMs);
  return more.length === 0 ? hidden : new Set([...hidden, ...more.map(([field]) => field)]);
}
