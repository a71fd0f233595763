// `muster serve`: runs services until it is told to stop.
import { type Config, loadConfig, printConfig } from "@muster/config";
import type { Command } from "commander";
import { readyBanner } from "../ready-banner.ts";
import { type RunningServer, serverDeps, startServer } from "../server.ts";

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
    .description("Run services: all of them in one process, or those that --target names")
    .option("--target <targets>", "all, or a comma list of identity, events, segments, gateway")
    .option("--mode <mode>", "embedded (SQLite, one process) or production (MySQL, NATS)")
    .option("--print-config", "print the configuration without its secrets, and end")
    .addHelpText("after", EXAMPLES)
    .action(async (flags: ServeFlags) => serve(flags));
}

async function serve(flags: ServeFlags): Promise<void> {
  const config = loadConfig({ command: "serve", flags });
  if (flags.printConfig === true) {
    process.stdout.write(printConfig(flags));
    return;
  }
  await run(config);
}

async function run(config: Config): Promise<void> {
  const deps = serverDeps(config);
  const stopping = new AbortController();
  const told = stopSignal(() => stopping.abort());
  process.on("uncaughtException", (error) => {
    deps.log.error({ err: error }, "a defect ended this process");
    process.exit(1);
  });
  const server = await startServer(config, deps, stopping.signal);
  announce(config, server, deps.log);
  const signal = await told;
  deps.log.info({ signal }, "stopping");
  await server.stop();
  deps.log.info({}, "stopped");
}

function announce(config: Config, server: RunningServer, log: ReturnType<typeof serverDeps>["log"]): void {
  const { httpPort, grpcPort } = server;
  log.info({ mode: config.mode, targets: config.targets, httpPort, grpcPort }, "ready");
  if (config.mode === "embedded") process.stdout.write(readyBanner(config, server));
}

/** The first signal asks, the second insists. */
function stopSignal(onFirst: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (signal: NodeJS.Signals): void => {
      count += 1;
      if (count > 1) process.exit(130);
      onFirst();
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
