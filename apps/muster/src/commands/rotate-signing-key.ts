// Implements `muster rotate-signing-key`: replaces the key that signs access tokens, directly in identity's
// database.
import { loadConfig } from "@muster/config";
import { isUuid, randomIds, type SigningKeyId, systemClock } from "@muster/core";
import { type Command, InvalidArgumentError } from "commander";
import { StartError } from "../start-error.ts";

interface RotateFlags {
  readonly withdraw?: SigningKeyId;
  readonly mode?: string;
}

const EXAMPLES = `
The new key signs from now on. Access tokens of the keys before it stay valid, so nobody notices. With --withdraw,
the tokens of that key are refused within a second, and their users refresh them: use it for a key that leaked.

Examples:
  muster rotate-signing-key
  muster rotate-signing-key --withdraw 0190a5b4-7c1e-7d2a-9f3b-5a6c7d8e9f10`;

export function addRotateSigningKeyCommand(program: Command): void {
  program
    .command("rotate-signing-key")
    .description("Replace the key that signs access tokens, and print the id of the new key")
    .option("--withdraw <kid>", "refuse the tokens of this key, a kid of /.well-known/jwks.json", keyId)
    .option("--mode <mode>", "embedded or production (default: MUSTER_MODE)")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: RotateFlags) => rotate(flags));
}

async function rotate({ withdraw, mode }: RotateFlags): Promise<void> {
  const config = loadConfig({ command: "administer", flags: { mode } });
  const { rotateSigningKeyDirect } = await import("@muster/service-identity");
  const { deriveKey } = await import("@muster/runtime");
  const { identitySecretForCommand } = await import("../platform/identity-secret.ts");
  const { openDatabases } = await import("../platform/open-platform.ts");
  const { missingMigrations } = await import("../schema.ts");
  const secret = await identitySecretForCommand(config);
  const { databases, close } = await openDatabases(config, ["identity"]);
  try {
    const database = databases.get("identity");
    const missing = database && (await missingMigrations({ service: "identity", database, config }));
    if (database === undefined || missing === undefined || missing.length > 0) {
      throw new StartError("The database of identity is not up to date. Run `muster migrate` first.");
    }
    const key = (use: string): Uint8Array => deriveKey(secret, `identity/${use}`);
    const made = await rotateSigningKeyDirect(
      { database, clock: systemClock, ids: randomIds, ownKey: key },
      withdraw,
    );
    if (made === undefined) throw new StartError(`There is no signing key ${withdraw}.`);
    process.stdout.write(`signing_key ${made}\n`);
    if (withdraw !== undefined) process.stdout.write(`withdrawn   ${withdraw}\n`);
  } finally {
    await close();
  }
}

function keyId(text: string): SigningKeyId {
  if (!isUuid(text)) throw new InvalidArgumentError("Give the kid of a signing key.");
  return text as SigningKeyId;
}
