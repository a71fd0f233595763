// Implements `make up`, `make down` and `make status`: the production topology from this machine's binaries,
// each part a process that outlives the shell. `make up` restarts parts that died and leaves running parts
// alone.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TARGETS, type Target } from "@muster/config";
import { startMysqlServer, startNatsServer } from "@muster/testkit";
import { runProcess } from "./run-process.ts";
import { environmentOf, type Installation, openInstallation } from "./up/installation.ts";
import { ProcessFiles } from "./up/process-files.ts";

const ROOT = resolve(import.meta.dirname, "..");
const MAIN = join(ROOT, "apps/muster/src/main.ts");
const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 45_000;
const POLL_MS = 50;
const KEY_FILE = "demo-api-key";

const folder = resolve(ROOT, process.env.MUSTER_UP_DIR ?? ".muster-up");
const gatewayPort = process.env.MUSTER_UP_HTTP_PORT;

async function up(): Promise<void> {
  const processes = new ProcessFiles(join(folder, "pids"));
  const installation = await openInstallation(folder, gatewayPort ? Number(gatewayPort) : undefined);
  await Promise.all([upMysql(installation, processes), upNats(installation, processes)]);
  await muster(installation, "migrate");
  const started = TARGETS.filter((target) => upTarget(target, installation, processes));
  await Promise.all(TARGETS.map((target) => untilReady(target, installation, processes)));
  await ensureDemoKey(installation);
  report(`Muster is up${started.length === 0 ? " (and was)" : `: started ${started.join(", ")}`}.`);
  printPlaces(installation, processes);
}

async function upMysql({ mysqlPort }: Installation, processes: ProcessFiles): Promise<void> {
  if (processes.pid("mariadb") !== undefined) return;
  const options = { folder: join(folder, "mariadb"), port: mysqlPort, isDetached: true, bufferPoolMiB: 256 };
  const server = await startMysqlServer(options);
  if (server.pid !== undefined) processes.remember("mariadb", server.pid);
}

async function upNats({ natsPort }: Installation, processes: ProcessFiles): Promise<void> {
  if (processes.pid("nats") !== undefined) return;
  const server = await startNatsServer({ folder: join(folder, "nats"), port: natsPort, isDetached: true });
  if (server.pid !== undefined) processes.remember("nats", server.pid);
}

/** Whether the process had to be started. */
function upTarget(target: Target, installation: Installation, processes: ProcessFiles): boolean {
  if (processes.pid(target) !== undefined) return false;
  processes.launch(target, {
    program: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", MAIN, "serve", `--target=${target}`],
    environment: environmentOf(installation, target),
    logPath: logPath(target),
  });
  return true;
}

function logPath(target: Target): string {
  return join(folder, "logs", `${target}.log`);
}

async function untilReady(target: Target, { ports }: Installation, processes: ProcessFiles): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  const url = `http://127.0.0.1:${ports[target].http}/readyz`;
  while (performance.now() < deadline && processes.pid(target) !== undefined) {
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  const tail = readFileSync(logPath(target), "utf8").trimEnd().split("\n").slice(-15).join("\n");
  throw new Error(`${target} does not get ready; the end of ${logPath(target)}:\n${tail}`);
}

/** Runs a command of the CLI on the installation; resolves to its output. */
async function muster(installation: Installation, ...args: string[]): Promise<string> {
  const environment = environmentOf(installation);
  const parameters = ["--disable-warning=ExperimentalWarning", MAIN, ...args];
  const { code, output } = await runProcess(process.execPath, parameters, { cwd: ROOT, environment });
  if (code !== 0) throw new Error(`muster ${args.join(" ")} failed:\n${output}`);
  return output;
}

async function ensureDemoKey(installation: Installation): Promise<void> {
  const path = join(folder, KEY_FILE);
  if (existsSync(path)) return;
  const output = await muster(installation, "create-organization", "--name", "Demo");
  const key = /^api_key +(\S+)$/m.exec(output)?.[1];
  if (key === undefined) throw new Error(`no key in:\n${output}`);
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
}

async function down(): Promise<void> {
  const processes = new ProcessFiles(join(folder, "pids"));
  // Callers stop before the services that they call; the servers that all depend on stop last.
  for (const target of [...TARGETS].reverse()) await processes.stop(target, STOP_MS_MAX);
  await Promise.all(["nats", "mariadb"].map((name) => processes.stop(name, STOP_MS_MAX)));
  report(`Muster is down; its data stays in ${folder}.`);
}

async function status(): Promise<void> {
  if (!existsSync(join(folder, "installation.json"))) return report("Nothing was ever up here: make up.");
  const processes = new ProcessFiles(join(folder, "pids"));
  printPlaces(await openInstallation(folder, undefined), processes);
}

function printPlaces({ ports, mysqlPort, natsPort }: Installation, processes: ProcessFiles): void {
  const row = (name: string, places: string): void => {
    const pid = processes.pid(name);
    report(`  ${name.padEnd(10)}${(pid === undefined ? "down" : `pid ${pid}`).padEnd(14)}${places}`);
  };
  for (const target of TARGETS) {
    const { http, grpc } = ports[target];
    const isGateway = target === "gateway";
    row(target, `http://127.0.0.1:${http}${isGateway ? "" : `   gRPC 127.0.0.1:${grpc}`}`);
  }
  row("mariadb", `mysql://root@127.0.0.1:${mysqlPort}`);
  row("nats", `nats://127.0.0.1:${natsPort}`);
  report(`  logs in ${join(folder, "logs")}; API key in ${join(folder, KEY_FILE)}`);
}

function report(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs one command at a time, because two would start every part twice. */
async function exclusively(body: () => Promise<void>): Promise<void> {
  const lock = new ProcessFiles(folder);
  const owner = lock.pid("up");
  if (owner !== undefined) throw new Error(`another make up or make down is at work (process ${owner})`);
  lock.remember("up", process.pid);
  try {
    await body();
  } finally {
    rmSync(join(folder, "up.pid"), { force: true });
  }
}

const commands: Readonly<Record<string, () => Promise<void>>> = {
  up: () => exclusively(up),
  down: () => exclusively(down),
  status,
};

// `make status | head` closes the pipe early.
process.stdout.on("error", () => {});

const command = commands[process.argv[2] ?? ""];
if (command === undefined) throw new Error(`give one of ${Object.keys(commands).join(", ")}`);
await command().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
