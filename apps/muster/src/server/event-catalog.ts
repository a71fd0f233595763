// Loads the event catalog of the installation from its file when the events service starts in this process.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Config } from "@muster/config";
import { CatalogError, type EventType, readCatalog } from "@muster/service-events";
import { StartError } from "../start-error.ts";

const DEFAULT_CATALOG_PATH = fileURLToPath(new URL("../../../../config/events.yaml", import.meta.url));

/** Throws StartError where the file cannot be read or is invalid. */
export async function loadEventCatalog(config: Config): Promise<readonly EventType[]> {
  if (!config.targets.includes("events")) return [];
  const file = config.eventCatalog ?? DEFAULT_CATALOG_PATH;
  try {
    return readCatalog(await readFile(file, "utf8"), file);
  } catch (error) {
    if (error instanceof CatalogError) throw new StartError(error.message, { cause: error });
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(
      `The event catalog cannot be read (${reason}). MUSTER_EVENT_CATALOG names another file.`,
      { cause: error },
    );
  }
}
