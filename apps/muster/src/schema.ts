// Compares a service's database with the service's migrations, and applies missing migrations.
import { type Config, databaseOf } from "@muster/config";
import type { Clock } from "@muster/core";
import {
  type Database,
  DifferentSchema,
  migrate,
  migrationStatus,
  requireMigratedSchema,
  UnknownMigration,
} from "@muster/db";
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
  const folder = modules[of.service].migrations;
  const read = async () => {
    const status = await migrationStatus(of.database, folder);
    await requireMigratedSchema(of.database, folder);
    return status;
  };
  const migrations = await read().catch((error: unknown) => {
    throw startErrorOf(error, of);
  });
  return migrations.filter(({ appliedMs }) => appliedMs === undefined).map(({ name }) => name);
}

/** Applies missing migrations. Resolves to the names of the migrations that this call applied. */
export async function migrateService(of: ServiceDatabase, clock: Clock): Promise<string[]> {
  const applied: string[] = [];
  const onApplied = ({ name }: { readonly name: string }): void => void applied.push(name);
  await missingMigrations(of);
  const folder = modules[of.service].migrations;
  const migrateAndCompare = async (): Promise<void> => {
    await migrate(of.database, folder, { clock, onApplied });
    await requireMigratedSchema(of.database, folder);
  };
  await migrateAndCompare().catch((error: unknown) => {
    throw startErrorOf(error, of);
  });
  return applied;
}

/** Names the folder or database of another version, and what to do about it. */
function startErrorOf(error: unknown, { service, config }: ServiceDatabase): unknown {
  const difference = differenceOf(error);
  if (difference === undefined) return error;
  const reason =
    `was made by another version of Muster: its ${service} schema ${difference}. ` +
    "Data of unreleased versions cannot be upgraded.";
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

function differenceOf(error: unknown): string | undefined {
  if (error instanceof DifferentSchema) return error.difference;
  if (!(error instanceof UnknownMigration)) return undefined;
  return `has the migration ${error.migration}, which this version does not have`;
}
