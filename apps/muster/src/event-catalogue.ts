// The event catalogue of the installation, read from its file when the events service starts here.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Config } from "@muster/config";
import type { CatalogueEntry } from "@muster/runtime";
import { CatalogueError, readCatalogue } from "@muster/service-events";
import { StartError } from "./start-error.ts";

const BESIDE_THE_CODE = fileURLToPath(new URL("../../../config/events.yaml", import.meta.url));

/** Throws StartError where the file cannot be read, or says something that makes no sense. */
export async function loadEventCatalogue(config: Config): Promise<readonly CatalogueEntry[]> {
  if (!config.targets.includes("events")) return [];
  const file = config.eventCatalogue ?? BESIDE_THE_CODE;
  try {
    return readCatalogue(await readFile(file, "utf8"), file);
  } catch (error) {
    if (error instanceof CatalogueError) throw new StartError(error.message, { cause: error });
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(
      `The event catalogue cannot be read (${reason}). MUSTER_EVENT_CATALOGUE names another file.`,
      { cause: error },
    );
  }
}
