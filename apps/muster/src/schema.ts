// Compares a service's database with the service's migrations, and applies missing migrations.
import { type Config, databaseOf } from "@muster/config";
import type { Clock } from "@muster/core";
import { type Database, migrate, migrationStatus, UnknownMigration } from "@muster/db";
import type { ServiceName } from "@muster/runtime";
import { StartError } from "./start-error.ts";
import { modules } from "./targets.ts";

/** A service's database, and the configuration that names the database in errors. */
export interface ServiceDatabase {
  readonly service: ServiceName;
  readonly database: Database;
  readonly config: Config;
}

/** Returns the names of the migrations that the database lacks. */
export async function missingMigrations(of: ServiceDatabase): Promise<string[]> {
  const migrations = await migrationStatus(of.database, modules[of.service].migrations).catch(
    (error: unknown) => {
      throw startErrorOf(error, of);
    },
  );
  return migrations.filter(({ appliedMs }) => appliedMs === undefined).map(({ name }) => name);
}

/** Applies missing migrations. Resolves to the names of the migrations that this call applied. */
export async function migrateService(of: ServiceDatabase, clock: Clock): Promise<string[]> {
  const applied: string[] = [];
  const onApplied = ({ name }: { readonly name: string }): void => void applied.push(name);
  await migrate(of.database, modules[of.service].migrations, { clock, onApplied }).catch((error: unknown) => {
    throw startErrorOf(error, of);
  });
  return applied;
}

/** Names the folder or database of another version, and what to do about it. */
function startErrorOf(error: unknown, { service, config }: ServiceDatabase): unknown {
  if (!(error instanceof UnknownMigration)) return error;
  const reason =
    `was made by another version of Muster: its ${service} schema has the migration ${error.migration}, ` +
    "which this version does not have. Data of unreleased versions cannot be upgraded.";
  if (config.mode === "embedded") {
    return new StartError(
      `The data folder ${config.dataDir} ${reason} Delete or move the folder, or set MUSTER_DATA_DIR to ` +
        "another one, and start again.",
    );
  }
  return new StartError(
    `The database ${databaseOf(config, service).name} ${reason} Drop or rename the database, or set ` +
      "MUSTER_DATABASE_PREFIX to another prefix, and run `muster migrate` again.",
  );
}
