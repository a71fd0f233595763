// `muster migrate`: makes the databases where they are missing and brings their schemas up to date.
import { loadConfig, SERVICE_NAMES } from "@muster/config";
import { systemClock } from "@muster/core";
import type { ServiceName } from "@muster/runtime";
import { type Command, Option } from "commander";

interface MigrateFlags {
  readonly service?: ServiceName;
  readonly mode?: string;
}

const EXAMPLES = `
Running the command twice, or twice at once, is harmless. In embedded mode \`muster serve\` migrates at its start.

Examples:
  MUSTER_MODE=production MUSTER_DATABASE_URL=mysql://root@127.0.0.1:3306 muster migrate
  muster migrate --service events`;

export function addMigrateCommand(program: Command): void {
  program
    .command("migrate")
    .description("Create the services' databases and bring their schemas up to date")
    .addOption(new Option("--service <service>", "only the database of this service").choices(SERVICE_NAMES))
    .option("--mode <mode>", "embedded or production (default: MUSTER_MODE)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: MigrateFlags) => migrateAll(flags));
}

async function migrateAll({ service, mode }: MigrateFlags): Promise<void> {
  const config = loadConfig({ command: "administer", flags: { mode } });
  const { openDatabases } = await import("../platform/open-platform.ts");
  const { migrateService } = await import("../schema.ts");
  const { databases, close } = await openDatabases(config, service === undefined ? SERVICE_NAMES : [service]);
  try {
    for (const [name, database] of databases) {
      const applied = await migrateService({ service: name, database, config }, systemClock);
      process.stdout.write(
        `${name}: ${applied.length === 0 ? "up to date" : `applied ${applied.join(", ")}`}\n`,
      );
    }
  } finally {
    await close();
  }
}
