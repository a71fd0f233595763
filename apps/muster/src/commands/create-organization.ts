// Implements `muster create-organization`: stores an organization, its first API key and its owner directly in
// identity's database.
import { loadConfig } from "@muster/config";
import { randomIds, systemClock } from "@muster/core";
import type { Command } from "commander";
import { StartError } from "../start-error.ts";

interface CreateOrganizationFlags {
  readonly name: string;
  readonly ownerEmail?: string;
  readonly mode?: string;
}

const EXAMPLES = `
Example:
  muster create-organization --name "Corner Shop" --owner-email ada@example.com`;

export function addCreateOrganizationCommand(program: Command): void {
  program
    .command("create-organization")
    .description("Create an organization, its first API key with every scope, and its owner, and print them")
    .requiredOption("--name <name>", "the organization's name")
    .option(
      "--owner-email <address>",
      "the owner: an existing user, or a new one who sets a password by mail",
    )
    .option("--mode <mode>", "embedded or production (default: MUSTER_MODE)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: CreateOrganizationFlags) => create(flags));
}

async function create({ name, ownerEmail, mode }: CreateOrganizationFlags): Promise<void> {
  const config = loadConfig({ command: "administer", flags: { mode } });
  const { createOrganizationDirect } = await import("@muster/service-identity");
  const { openDatabases } = await import("../platform/open-platform.ts");
  const { missingMigrations } = await import("../schema.ts");
  const { databases, close } = await openDatabases(config, ["identity"]);
  try {
    const database = databases.get("identity");
    const missing = database && (await missingMigrations({ service: "identity", database, config }));
    if (database === undefined || missing === undefined || missing.length > 0) {
      throw new StartError("The database of identity is not up to date. Run `muster migrate` first.");
    }
    const options = {
      clock: systemClock,
      ids: randomIds,
      name,
      ...(ownerEmail === undefined ? {} : { ownerEmail }),
    };
    const { organizationId, secret, ownerId } = await createOrganizationDirect(database, options);
    process.stdout.write(`organization_id ${organizationId}\napi_key         ${secret}\n`);
    if (ownerId !== undefined) process.stdout.write(`owner_id        ${ownerId}\n`);
    process.stderr.write("The key is shown this once.\n");
  } finally {
    await close();
  }
}
