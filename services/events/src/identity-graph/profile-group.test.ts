import type { OrganizationId, ProfileId } from "@muster/core";
import { describe, expect, test } from "vitest";
import type { StoredProfile } from "../profile-storage/profile.ts";
import {
  branchOf,
  effectiveProfile,
  groupProfileIds,
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
    settled: {},
    ...fields,
  };
}

/** Merged into `parent` at an instant. */
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

test("a person alone shows itself", () => {
  const root = stored("root", { name: "R" });
  expect(effectiveProfile({ root, merged: [] })).toBe(root);
});

test("fields are filled by branches, in the order of merging, each before what hangs below it", () => {
  expect(effectiveProfile(group)).toMatchObject({
    ...{ id: ROOT, userId: "u", anonymousId: "a", name: "B", email: "c@x.org", traits: '{"b":1}' },
    ...{ createMs: 7, updateMs: 200 },
  });
});

test("as long as a chain may be, it is walked", () => {
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

describe("what is settled", () => {
  test("hides what came before, with all below it, and nothing that comes later", () => {
    const settled = { name: 2, traits: 2 };
    const cleared: ProfileGroup = { ...group, root: { ...group.root, settled } };
    expect(effectiveProfile(cleared)).toMatchObject({ name: "A", traits: "{}", email: "c@x.org" });
  });

  test("is for a branch what its own people said, wherever it hangs", () => {
    const merged = group.merged.map((one) => (one.id === "b" ? { ...one, settled: { email: 1 } } : one));
    expect(effectiveProfile({ ...group, merged }).email).toBe("a@x.org");
    const branch = branchOf({ ...group, merged }, "b" as ProfileId);
    expect(branch && effectiveProfile(branch).email).toBeUndefined();
  });

  test("covers all merges so far and none to come, whatever the clock says", () => {
    const settled = overrideFields(group, ["name"], 0);
    expect(effectiveProfile({ ...group, root: { ...group.root, settled } }).name).toBeUndefined();
    const later = nextMergeMs({ ...group, root: { ...group.root, settled } }, 0);
    const merged = [...group.merged, mergedProfile("d", "root", later, { name: "D" })];
    expect(effectiveProfile({ root: { ...group.root, settled }, merged }).name).toBe("D");
  });

  test("is nothing where nothing was merged", () => {
    expect(overrideFields({ root: group.root, merged: [] }, ["name"], 5)).toEqual({});
  });
});

test("a branch is a profile with all below it", () => {
  const branch = branchOf(group, "b" as ProfileId);
  expect(branch && groupProfileIds(branch)).toEqual(["b", "c"]);
  expect(branchOf(group, ROOT)).toBeUndefined();
});
