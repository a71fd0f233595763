import type { OrganizationId, ProfileId } from "@muster/core";
import { describe, expect, test } from "vitest";
import type { StoredProfile } from "../profile-storage/profile.ts";
import {
  branchOf,
  effectiveProfile,
  groupProfileIds,
  keepAppendedProfile,
  nextMergeMs,
  overrideFields,
  type ProfileGroup,
} from "./profile-group.ts";

const ROOT = "root" as ProfileId;

function stored(id: string, fields: Partial<StoredProfile> = {}): StoredProfile {
  return {
    organizationId: "organization" as OrganizationId,
    id: id as ProfileId,
    userId: undefined,
    anonymousId: undefined,
    email: undefined,
    name: undefined,
    traits: "{}",
    createMs: 100,
    updateMs: 100,
    mergedInto: undefined,
    overriddenAt: {},
    ...fields,
  };
}

/** A profile merged into `parent` at a time. */
function mergedProfile(
  id: string,
  parent: string,
  atMs: number,
  fields: Partial<StoredProfile> = {},
): StoredProfile {
  return stored(id, { ...fields, mergedInto: { parentId: parent as ProfileId, rootId: ROOT, atMs } });
}

/** root ← b ← c, root ← a */
const group: ProfileGroup = {
  root: stored("root", { userId: "u", updateMs: 200 }),
  merged: [
    mergedProfile("c", "b", 1, { name: "C", email: "c@x.org", createMs: 7 }),
    mergedProfile("a", "root", 3, { name: "A", email: "a@x.org", anonymousId: "a" }),
    mergedProfile("b", "root", 2, { name: "B", traits: '{"b":1}' }),
  ],
};

test("a group without merged profiles shows its root", () => {
  const root = stored("root", { name: "R" });
  expect(effectiveProfile({ root, merged: [] })).toBe(root);
});

test("merged profiles fill fields in the order of merging, each before the profiles merged into it", () => {
  expect(effectiveProfile(group)).toMatchObject({
    id: ROOT,
    userId: "u",
    anonymousId: "a",
    name: "B",
    email: "c@x.org",
    traits: '{"b":1}',
    createMs: 7,
    updateMs: 200,
  });
});

test("a chain of maximum length is followed", () => {
  const merged = Array.from({ length: 999 }, (_, index) =>
    mergedProfile(
      `${index}`,
      index === 0 ? "root" : `${index - 1}`,
      1,
      index === 998 ? { name: "last" } : {},
    ),
  );
  expect(effectiveProfile({ root: stored("root"), merged }).name).toBe("last");
});

describe("an override", () => {
  test("hides earlier merges with all profiles below, and no later merge", () => {
    const overriddenAt = { name: 2, traits: 2 };
    const cleared: ProfileGroup = { ...group, root: { ...group.root, overriddenAt } };
    expect(effectiveProfile(cleared)).toMatchObject({ name: "A", traits: "{}", email: "c@x.org" });
  });

  test("of a branch applies to the branch, at any level", () => {
    const merged = group.merged.map((one) => (one.id === "b" ? { ...one, overriddenAt: { email: 1 } } : one));
    expect(effectiveProfile({ ...group, merged }).email).toBe("a@x.org");
    const branch = branchOf({ ...group, merged }, "b" as ProfileId);
    expect(branch && effectiveProfile(branch).email).toBeUndefined();
  });

  test("covers all earlier merges and no later merge, whatever the clock", () => {
    const overriddenAt = overrideFields(group, ["name"], 0);
    expect(effectiveProfile({ ...group, root: { ...group.root, overriddenAt } }).name).toBeUndefined();
    const later = nextMergeMs({ ...group, root: { ...group.root, overriddenAt } }, 0);
    const merged = [...group.merged, mergedProfile("d", "root", later, { name: "D" })];
    expect(effectiveProfile({ root: { ...group.root, overriddenAt }, merged }).name).toBe("D");
  });

  test("is empty without merged profiles", () => {
    expect(overrideFields({ root: group.root, merged: [] }, ["name"], 5)).toEqual({});
  });
});

test("a branch is a profile with all profiles below", () => {
  const branch = branchOf(group, "b" as ProfileId);
  expect(branch && groupProfileIds(branch)).toEqual(["b", "c"]);
  expect(branchOf(group, ROOT)).toBeUndefined();
});

describe("a merge that appends to a group", () => {
  const added: Partial<StoredProfile>[] = [
    {},
    { userId: "u2", anonymousId: "a2", email: "e2@x.org", name: "N2", createMs: 3 },
    { traits: '{"t":2}' },
  ];
  const targets: ProfileGroup[] = [
    { root: stored("root"), merged: [] },
    { root: stored("root", { name: "R", traits: '{"r":1}' }), merged: [] },
    group,
    { root: { ...group.root, overriddenAt: { email: 10, name: 2, traits: 10 } }, merged: group.merged },
  ];
  test.each(targets.flatMap((target) => added.map((fields) => [target, fields] as const)))(
    "shows what a new composition shows (%#)",
    (target, fields) => {
      const source: ProfileGroup = { root: stored("new", fields), merged: [] };
      const child = mergedProfile("new", "root", nextMergeMs(target, 5), fields);
      const appended = { root: { ...target.root, updateMs: 900 }, merged: [...target.merged, child] };
      const composed = effectiveProfile({ ...appended });
      keepAppendedProfile(target, source, appended);
      expect(effectiveProfile(appended)).toEqual(composed);
    },
  );
});
