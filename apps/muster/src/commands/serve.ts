// Implements `muster serve`: runs services until a signal stops the process.
import { loadConfig, printConfig } from "@muster/config";
import type { Command } from "commander";

interface ServeFlags {
  readonly target?: string;
  readonly mode?: string;
  readonly printConfig?: boolean;
}

const EXAMPLES = `
Everything else is configured by environment variables; .env.example lists them all.

Examples:
  muster serve
  MUSTER_DATA_DIR=/var/lib/muster muster serve
  muster serve --mode=production --target=events
  muster serve --mode=production --target=identity,gateway --print-config`;

export function addServeCommand(program: Command): void {
  program
    .command("serve")
    .description("Run all services in one process, or only the services of --target")
    .option("--target <targets>", "all, or a comma list of identity, events, segments, gateway")
    .option("--mode <mode>", "embedded (SQLite, one process) or production (MySQL, NATS)")
    .option("--print-config", "print the configuration without secrets, and exit")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: ServeFlags) => serve(flags));
}

async function serve(flags: ServeFlags): Promise<void> {
  const config = loadConfig({ command: "serve", flags });
  if (flags.printConfig === true) {
    process.stdout.write(printConfig(flags));
    return;
  }
  // Imported late, so that `--help` and `import` need not load every service.
  const { runUntilStopped } = await import("../server/run-server.ts");
  await runUntilStopped(config);
}
