// Combines the default event types of the installation with the changes of an organization. Every request
// reads the changes from the database, so that a new price applies on all replicas immediately.
import type { OrganizationId } from "@muster/core";
import type { Queryable } from "@muster/db";
import type { EventsDeps } from "../handlers/deps.ts";
import type { EventType } from "./event-type.ts";
import { getChange, listChanges } from "./event-type-store.ts";

/** The event types of organizations. Without changes an organization has the default types. */
export class Catalog {
  readonly #defaults: ReadonlyMap<string, EventType>;

  constructor(defaults: readonly EventType[]) {
    this.#defaults = new Map(defaults.map((type) => [type.name, type]));
  }

  /** All event types of the organization, by name. */
  async typesOf(db: Queryable, organizationId: OrganizationId): Promise<Map<string, EventType>> {
    const types = new Map(this.#defaults);
    for (const change of await listChanges(db, organizationId)) {
      if (change.isDeleted) types.delete(change.name);
      else types.set(change.name, change);
    }
    return types;
  }

  async find(db: Queryable, organizationId: OrganizationId, name: string): Promise<EventType | undefined> {
    const change = await getChange(db, organizationId, name);
    if (change === undefined) return this.#defaults.get(name);
    return change.isDeleted ? undefined : change;
  }

  /** Returns whether the type belongs to the defaults of the installation. */
  isDefault(name: string): boolean {
    return this.#defaults.has(name);
  }
}

/** The shared dependencies and the catalog, for the slices that read event types. */
export interface CatalogDeps extends EventsDeps {
  readonly catalog: Catalog;
}
