import type { OrganizationId, ProfileId } from "@muster/core";
import { describe, expect, test } from "vitest";
import type { StoredProfile } from "../profiles/profile.ts";
import { branchOf, nextMergeMs, type Person, profileIdsOf, profileOf, settle } from "./person.ts";

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
function hung(id: string, parent: string, atMs: number, fields: Partial<StoredProfile> = {}): StoredProfile {
  return stored(id, { ...fields, mergedInto: { parentId: parent as ProfileId, rootId: ROOT, atMs } });
}

/** root ← b ← c, root ← a */
const person: Person = {
  root: stored("root", { userId: "u", updateMs: 200 }),
  merged: [
    hung("c", "b", 1, { name: "C", email: "c@x.org", createMs: 7 }),
    hung("a", "root", 3, { name: "A", email: "a@x.org", anonymousId: "a" }),
    hung("b", "root", 2, { name: "B", traits: '{"b":1}' }),
  ],
};

test("a person alone shows itself", () => {
  const root = stored("root", { name: "R" });
  expect(profileOf({ root, merged: [] })).toBe(root);
});

test("fields are filled by branches, in the order of merging, each before what hangs below it", () => {
  expect(profileOf(person)).toMatchObject({
    ...{ id: ROOT, userId: "u", anonymousId: "a", name: "B", email: "c@x.org", traits: '{"b":1}' },
    ...{ createMs: 7, updateMs: 200 },
  });
});

test("as long as a chain may be, it is walked", () => {
  const merged = Array.from({ length: 999 }, (_, index) =>
    hung(`${index}`, index === 0 ? "root" : `${index - 1}`, 1, index === 998 ? { name: "last" } : {}),
  );
  expect(profileOf({ root: stored("root"), merged }).name).toBe("last");
});

describe("what is settled", () => {
  test("hides what came before, with all below it, and nothing that comes later", () => {
    const settled = { name: 2, traits: 2 };
    const cleared: Person = { ...person, root: { ...person.root, settled } };
    expect(profileOf(cleared)).toMatchObject({ name: "A", traits: "{}", email: "c@x.org" });
  });

  test("is for a branch what its own people said, wherever it hangs", () => {
    const merged = person.merged.map((one) => (one.id === "b" ? { ...one, settled: { email: 1 } } : one));
    expect(profileOf({ ...person, merged }).email).toBe("a@x.org");
    const branch = branchOf({ ...person, merged }, "b" as ProfileId);
    expect(branch && profileOf(branch).email).toBeUndefined();
  });

  test("covers all merges so far and none to come, whatever the clock says", () => {
    const settled = settle(person, ["name"], 0);
    expect(profileOf({ ...person, root: { ...person.root, settled } }).name).toBeUndefined();
    const later = nextMergeMs({ ...person, root: { ...person.root, settled } }, 0);
    const merged = [...person.merged, hung("d", "root", later, { name: "D" })];
    expect(profileOf({ root: { ...person.root, settled }, merged }).name).toBe("D");
  });

  test("is nothing where nothing was merged", () => {
    expect(settle({ root: person.root, merged: [] }, ["name"], 5)).toEqual({});
  });
});

test("a branch is a profile with all below it", () => {
  const branch = branchOf(person, "b" as ProfileId);
  expect(branch && profileIdsOf(branch)).toEqual(["b", "c"]);
  expect(branchOf(person, ROOT)).toBeUndefined();
});
