// Reads permissions: exact names such as "events.write", or "*" for every permission. The names come from the
// policy options of the methods, so that no second list can fall behind.
import { type DescService, getOption } from "@bufbuild/protobuf";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import type { Permissions } from "./principal.ts";
import type { Role } from "./role.ts";

/** The scope that holds every permission, those of later versions included. */
export const EVERY_PERMISSION = "*";

/** The permissions of a credential with these scopes. */
export function permissionsOf(scopes: Iterable<string>): Permissions {
  const held = new Set(scopes);
  if (held.has(EVERY_PERMISSION)) return { has: () => true };
  return { has: (permission) => held.has(permission) };
}

/** Every permission that a method of these services requires, sorted. */
export function allPermissions(services: readonly DescService[]): string[] {
  const found = new Set<string>();
  for (const method of services.flatMap((service) => service.methods)) {
    const { permission } = getOption(method, policy);
    if (permission !== "") found.add(permission);
  }
  return [...found].sort();
}

export function permissionsOfRole(role: Role): Permissions {
  return { has: () => role === "owner" };
}
