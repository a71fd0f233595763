import { expect, test } from "vitest";
import { permissionsOf, permissionsOfRole } from "./permissions.ts";
import { ROLES } from "./role.ts";
import { PERMISSIONS, rolesWith } from "./role-permissions.ts";

test("permissions are exact names", () => {
  const permissions = permissionsOf(["events.write", "events"]);
  expect(permissions.has("events.write")).toBe(true);
  for (const other of [
    "events.read",
    "events.writ",
    "events.write.all",
    "EVENTS.WRITE",
    "*",
    "",
    "toString",
  ]) {
    expect(permissions.has(other), other).toBe(false);
  }
});

test('"*" on a key holds every permission but the deletion of its organization', () => {
  const permissions = permissionsOf(["*"]);
  for (const permission of PERMISSIONS) {
    expect(permissions.has(permission), permission).toBe(permission !== "organizations.delete");
  }
  expect(permissions.has("*")).toBe(true);
  expect(permissions.has("anything.else")).toBe(false);
});

test("to write events includes to track, and not the other way round", () => {
  expect(permissionsOf(["events.write"]).has("tracking.write")).toBe(true);
  expect(permissionsOf(["tracking.write"]).has("events.write")).toBe(false);
});

test.each(ROLES)("%s holds the permissions of its column and no others", (role) => {
  const permissions = permissionsOfRole(role);
  for (const permission of PERMISSIONS) {
    expect(permissions.has(permission), permission).toBe(rolesWith(permission).includes(role));
  }
  expect(permissions.has("anything.else")).toBe(false);
});

test('only an owner holds all that "*" stands for', () => {
  expect(ROLES.filter((role) => permissionsOfRole(role).has("*"))).toEqual(["owner"]);
});
