// Opens the platform of the configured mode. No other code branches on the mode.
import type { Config } from "@muster/config";
import { assertNever } from "@muster/core";
import type { ServiceName } from "@muster/runtime";
import type { OpenDatabases, OpenPlatform, PlatformDeps } from "./platform.ts";

export async function openPlatform(config: Config, deps: PlatformDeps): Promise<OpenPlatform> {
  // Imported on demand, so that neither mode loads the drivers of the other.
  switch (config.mode) {
    case "embedded":
      return (await import("./platform-embedded.ts")).openEmbeddedPlatform(config, deps);
    case "production":
      return (await import("./platform-production.ts")).openProductionPlatform(config, deps);
    default:
      return assertNever(config.mode);
  }
}

export async function openDatabases(
  config: Config,
  services: readonly ServiceName[],
): Promise<OpenDatabases> {
  switch (config.mode) {
    case "embedded":
      return (await import("./platform-embedded.ts")).openEmbeddedDatabases(config, services);
    case "production":
      return (await import("./platform-production.ts")).openProductionDatabases(config, services);
    default:
      return assertNever(config.mode);
  }
}
