// Compares a service's database with the migrations of its code and applies missing migrations.

import type { Clock } from "@muster/core";
import { type Database, migrate, migrationStatus } from "@muster/db";
import type { ServiceName } from "@muster/runtime";
import { modules } from "./targets.ts";

/** Names of the migrations missing in the database. */
export async function missingMigrations(service: ServiceName, database: Database): Promise<string[]> {
  const migrations = await migrationStatus(database, modules[service].migrations);
  return migrations.filter(({ appliedMs }) => appliedMs === undefined).map(({ name }) => name);
}

/** Applies the missing migrations; resolves to the names of the migrations applied by this call. */
export async function migrateService(
  service: ServiceName,
  database: Database,
  clock: Clock,
): Promise<string[]> {
  const applied: string[] = [];
  await migrate(database, modules[service].migrations, {
    clock,
    onApplied: ({ name }) => void applied.push(name),
  });
  return applied;
}
