// Writes the file of variables with which `./muster` commands find the installation of `make up`.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { environmentOf, type Installation } from "./installation.ts";

const FILE = "muster.env";

export function environmentFile(folder: string): string {
  return join(folder, FILE);
}

/** Readable by its owner alone, because the file holds the installation's key and an API key. */
export function writeEnvironmentFile(installation: Installation, apiKey: string): void {
  const variables = Object.entries(environmentOf(installation)).filter(([name]) =>
    name.startsWith("MUSTER_"),
  );
  const lines = [
    "# Written by `make up` for ./muster commands; removed by `make down`.",
    ...variables.map(([name, value]) => `${name}=${value}`),
    `MUSTER_URL=http://127.0.0.1:${installation.ports.gateway.http}`,
    `MUSTER_API_KEY=${apiKey}`,
  ];
  writeFileSync(environmentFile(installation.folder), `${lines.join("\n")}\n`, { mode: 0o600 });
}
