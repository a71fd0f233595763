// Finds the secret of identity for a server in embedded mode and for commands.
import type { Config } from "@muster/config";
import { deriveKey } from "@muster/runtime";
import { StartError } from "../start-error.ts";
import { DataFolder } from "./data-folder.ts";

/** Embedded mode needs no second secret. */
export function embeddedIdentitySecret(config: Config, secret: Uint8Array): Uint8Array {
  return config.identitySecret ?? deriveKey(secret, "identity-secret");
}

/** The secret that the running server uses. */
export async function identitySecretForCommand(config: Config): Promise<Uint8Array> {
  if (config.mode === "production") {
    if (config.identitySecret !== undefined) return config.identitySecret;
    throw new StartError("Set MUSTER_IDENTITY_SECRET to the secret of the running identity service.");
  }
  const secret = config.secret ?? (await DataFolder.at(config.dataDir).storedSecret());
  if (secret !== undefined) return embeddedIdentitySecret(config, secret);
  throw new StartError(`No server has run in ${config.dataDir} yet (MUSTER_DATA_DIR).`);
}
