// Lists every permission with the roles that hold it. API keys use the same words as scopes.
import { ROLES, type Role } from "./role.ts";

const EVERYBODY: readonly Role[] = ROLES;
const WRITERS: readonly Role[] = ["owner", "admin", "member"];
const ADMINS: readonly Role[] = ["owner", "admin"];
const OVERSEERS: readonly Role[] = ["owner", "admin", "auditor"];

const ROLES_OF: Readonly<Record<string, readonly Role[]>> = {
  "users.read": EVERYBODY,
  "organizations.read": EVERYBODY,
  "events.read": EVERYBODY,
  "profiles.read": EVERYBODY,
  "segments.read": EVERYBODY,
  "alerts.read": EVERYBODY,

  "tracking.write": WRITERS,
  "events.write": WRITERS,
  "profiles.write": WRITERS,
  "segments.write": WRITERS,
  "alerts.write": WRITERS,
  "event_types.write": WRITERS,

  "users.update": ADMINS,
  "users.delete": ADMINS,
  "users.invite": ADMINS,
  "profiles.export": ADMINS,
  "profiles.erase": ADMINS,
  "retention.write": ADMINS,
  "api_keys.write": ADMINS,
  "webhooks.write": ADMINS,
  "organizations.write": ADMINS,

  "analytics.read": OVERSEERS,
  "rate_limits.read": OVERSEERS,
  "webhooks.read": OVERSEERS,
  "api_keys.read": OVERSEERS,
  "erasures.read": OVERSEERS,

  "audit.read": ["owner", "auditor"],
  "organizations.delete": ["owner"],
};

/** Pairs: the first permission includes the second. */
const INCLUDED: readonly (readonly [string, string])[] = [["events.write", "tracking.write"]];

/** "*" on a key leaves this permission out. */
const NOT_OF_EVERY_KEY = "organizations.delete";

/** Every permission, sorted. */
export const PERMISSIONS: readonly string[] = Object.keys(ROLES_OF).sort();

/** The permissions of a key with the scope "*", sorted. */
export const EVERY_KEY_PERMISSION: readonly string[] = PERMISSIONS.filter((one) => one !== NOT_OF_EVERY_KEY);

export function isPermission(name: string): boolean {
  return Object.hasOwn(ROLES_OF, name);
}

/** The roles that hold the permission. */
export function rolesWith(permission: string): readonly Role[] {
  return Object.hasOwn(ROLES_OF, permission) ? (ROLES_OF[permission] ?? []) : [];
}

/** Adds the included permissions. */
export function withIncluded(permissions: Iterable<string>): ReadonlySet<string> {
  const held = new Set(permissions);
  for (const [permission, included] of INCLUDED) if (held.has(permission)) held.add(included);
  return held;
}
