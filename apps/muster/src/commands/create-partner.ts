// Implements `muster create-partner`: stores a provisioning partner directly in identity's database.
import { loadConfig } from "@muster/config";
import { randomIds, systemClock } from "@muster/core";
import type { Command } from "commander";
import { StartError } from "../start-error.ts";

interface CreatePartnerFlags {
  readonly name: string;
  readonly mode?: string;
}

const EXAMPLES = `
The partner sends the key as X-Api-Key, and signs each request with the secret. docs/provisioning.md shows how.

Example:
  muster create-partner --name "Corner Shop Alliance"`;

export function addCreatePartnerCommand(program: Command): void {
  program
    .command("create-partner")
    .description("Create a partner who may provision organizations, and print the key and the secret")
    .requiredOption("--name <name>", "the partner's name")
    .option("--mode <mode>", "embedded or production (default: MUSTER_MODE)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: CreatePartnerFlags) => create(flags));
}

async function create({ name, mode }: CreatePartnerFlags): Promise<void> {
  const config = loadConfig({ command: "administer", flags: { mode } });
  const { createPartnerDirect } = await import("@muster/service-identity");
  const { deriveKey } = await import("@muster/runtime");
  const { identitySecretForCommand } = await import("../platform/identity-secret.ts");
  const { openDatabases } = await import("../platform/open-platform.ts");
  const { missingMigrations } = await import("../schema.ts");
  const ownSecret = await identitySecretForCommand(config);
  const { databases, close } = await openDatabases(config, ["identity"]);
  try {
    const database = databases.get("identity");
    const missing = database && (await missingMigrations({ service: "identity", database, config }));
    if (database === undefined || missing === undefined || missing.length > 0) {
      throw new StartError("The database of identity is not up to date. Run `muster migrate` first.");
    }
    const ownKey = (use: string): Uint8Array => deriveKey(ownSecret, `identity/${use}`);
    const deps = { database, clock: systemClock, ids: randomIds, ownKey };
    const { key, secret } = await createPartnerDirect(deps, name);
    process.stdout.write(`key=${key}\nsecret=${secret}\n`);
    process.stderr.write("Key and secret are shown this once.\n");
  } finally {
    await close();
  }
}
