// Whether a service's database is as new as its code, and bringing it there.

import type { Clock } from "@muster/core";
import { type Database, migrate, migrationStatus } from "@muster/db";
import type { ServiceName } from "@muster/runtime";
import { modules } from "./targets.ts";

/** Names of the migrations that the database lacks. */
export async function missingMigrations(service: ServiceName, database: Database): Promise<string[]> {
  const migrations = await migrationStatus(database, modules[service].migrations);
  return migrations.filter(({ appliedMs }) => appliedMs === undefined).map(({ name }) => name);
}

/** Applies what is missing; resolves to the names of what this call applied. */
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
