// Finds the address and the API key with which a client command calls a running server.
import { loadConfig } from "@muster/config";
import { DataFolder, DEMO_KEY_FILE } from "../platform/data-folder.ts";
import { StartError } from "../start-error.ts";

export interface ServerFlags {
  readonly url?: string;
  readonly apiKey?: string;
}

export interface ServerAccess {
  /** URL of the REST gateway, such as http://127.0.0.1:3000. */
  readonly url: string;
  readonly apiKey: string;
  /** Where the key came from, for the message when the server refuses the key. */
  readonly keySource: string;
}

/** A flag wins over the environment; without either, the key is the demo key of the data folder. */
export async function serverOf(flags: ServerFlags): Promise<ServerAccess> {
  const config = loadConfig({ command: "client" });
  const url = flags.url ?? config.url;
  if (flags.apiKey !== undefined) return { url, apiKey: flags.apiKey, keySource: "--api-key" };
  if (config.apiKey !== undefined) return { url, apiKey: config.apiKey, keySource: "MUSTER_API_KEY" };
  const folder = DataFolder.at(config.dataDir);
  const keySource = folder.file(DEMO_KEY_FILE);
  const apiKey = await folder.read(DEMO_KEY_FILE);
  if (apiKey === undefined) {
    throw new StartError(
      `There is no API key: ${keySource} does not exist. Give --api-key or MUSTER_API_KEY, ` +
        "or name the server's data folder by MUSTER_DATA_DIR.",
    );
  }
  return { url, apiKey, keySource };
}
