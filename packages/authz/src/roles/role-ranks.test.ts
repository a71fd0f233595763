import { expect, test } from "vitest";
import { ROLES, type Role } from "./role.ts";
import { mayChange, mayGrantOrTake, rankRoleOfKey } from "./role-ranks.ts";

/** The roles for which the rule allows each actor, written out. */
const GRANTED: Readonly<Record<Role, readonly Role[]>> = {
  owner: ["owner", "admin", "member", "auditor"],
  admin: ["admin", "member"],
  member: ["member"],
  auditor: [],
};
const CHANGED: Readonly<Record<Role, readonly Role[]>> = {
  owner: ["owner", "admin", "member", "auditor"],
  admin: ["admin", "member", "auditor"],
  member: ["member", "auditor"],
  auditor: ["auditor"],
};

test.each(ROLES)("%s grants and takes no role above its own, and an owner alone the auditor's", (actor) => {
  expect(ROLES.filter((role) => mayGrantOrTake(actor, role))).toEqual(GRANTED[actor]);
});

test.each(ROLES)("%s changes nobody above", (actor) => {
  expect(ROLES.filter((target) => mayChange(actor, target))).toEqual(CHANGED[actor]);
});

test("a key ranks as a member, unless an owner has raised it", () => {
  expect(rankRoleOfKey(undefined)).toBe("member");
  expect(rankRoleOfKey("admin")).toBe("admin");
});
