// Implements `make up`, `make down` and `make status`: the production topology from this machine's binaries,
// each part a process that outlives the shell. `make up` restarts parts that died and leaves running parts
// alone.
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TARGETS, type Target } from "@muster/config";
import { startMysqlServer, startNatsServer } from "@muster/testkit";
import { runProcess } from "./run-process.ts";
import { environmentFile, writeEnvironmentFile } from "./up/environment-file.ts";
import { environmentOf, type Installation, isFree, openInstallation } from "./up/installation.ts";
import { type Part, SERVERS, stateOf } from "./up/part-state.ts";
import { ProcessFiles } from "./up/process-files.ts";
import { SchemaMark } from "./up/schema-mark.ts";

const ROOT = resolve(import.meta.dirname, "..");
const MAIN = join(ROOT, "apps/muster/src/main.ts");
const MAIL_CATCHER = join(ROOT, "tools/up/mail-catcher.ts");
const READY_MS_MAX = 60_000;
const STOP_MS_MAX = 45_000;
const POLL_MS = 50;
const KEY_FILE = "demo-api-key";

const folder = resolve(ROOT, process.env.MUSTER_UP_DIR ?? ".muster-up");
const gatewayPort = process.env.MUSTER_UP_HTTP_PORT;

async function up(): Promise<void> {
  const processes = new ProcessFiles(join(folder, "pids"));
  const running = isRunning("gateway", processes);
  const installation = await openInstallation(
    folder,
    gatewayPort && !running ? Number(gatewayPort) : undefined,
  );
  if (running) reportIgnoredPort(installation);
  await refuseTakenPorts(installation, processes);
  const schema = new SchemaMark(ROOT, folder);
  if (!existsSync(join(folder, "mariadb"))) schema.clear();
  const servers = await Promise.all([
    upMysql(installation, processes),
    upNats(installation, processes),
    upMail(installation, processes),
  ]);
  if (!schema.isCurrent) await migrate(installation, schema);
  const targets = TARGETS.filter((target) => upTarget(target, installation, processes));
  await Promise.all(TARGETS.map((target) => untilReady(target, installation, processes)));
  writeEnvironmentFile(installation, await ensureDemoKey(installation));
  const started = [...servers.filter((name) => name !== undefined), ...targets];
  report(`Muster is up${started.length === 0 ? " (and was)" : `: started ${started.join(", ")}`}.`);
  await printParts(installation, processes);
}

function reportIgnoredPort({ ports }: Installation): void {
  if (!gatewayPort || Number(gatewayPort) === ports.gateway.http) return;
  report(
    `MUSTER_UP_HTTP_PORT=${gatewayPort} has no effect: the gateway runs at port ${ports.gateway.http}. ` +
      "To move it, run make down first.",
  );
}

function isRunning(part: Part, processes: ProcessFiles): boolean {
  return processes.pid(part) !== undefined;
}

/** Another process on a port of ours would be taken for a part of this installation. */
async function refuseTakenPorts(installation: Installation, processes: ProcessFiles): Promise<void> {
  const { ports, mysqlPort, natsPort, mailPort } = installation;
  const wanted: [Part, number][] = TARGETS.flatMap((target) => [
    [target, ports[target].http],
    [target, ports[target].grpc],
  ]);
  wanted.push(["mariadb", mysqlPort], ["nats", natsPort], ["mail", mailPort]);
  for (const [part, port] of wanted) {
    if (isRunning(part, processes) || (await isFree(port))) continue;
    const advice =
      part === "gateway" ? "or give another port: MUSTER_UP_HTTP_PORT=3100 make up" : "and run make up again";
    throw new Error(`Port ${port} of ${part} is taken by another process. Stop that process, ${advice}.`);
  }
}

/** Returns the name of the part if it had to be started. */
async function upMysql({ mysqlPort }: Installation, processes: ProcessFiles): Promise<Part | undefined> {
  if (isRunning("mariadb", processes)) return undefined;
  const options = { folder: join(folder, "mariadb"), port: mysqlPort, isDetached: true, bufferPoolMiB: 256 };
  const server = await startMysqlServer(options);
  if (server.pid !== undefined) processes.remember("mariadb", server.pid);
  return "mariadb";
}

/** Returns the name of the part if it had to be started. */
async function upNats({ natsPort }: Installation, processes: ProcessFiles): Promise<Part | undefined> {
  if (isRunning("nats", processes)) return undefined;
  const server = await startNatsServer({ folder: join(folder, "nats"), port: natsPort, isDetached: true });
  if (server.pid !== undefined) processes.remember("nats", server.pid);
  return "nats";
}

/** Returns the name of the part if it had to be started. */
async function upMail(installation: Installation, processes: ProcessFiles): Promise<Part | undefined> {
  if (isRunning("mail", processes)) return undefined;
  processes.launch("mail", {
    program: process.execPath,
    args: [
      "--disable-warning=ExperimentalWarning",
      MAIL_CATCHER,
      String(installation.mailPort),
      join(folder, "mail"),
    ],
    environment: process.env,
    logPath: logPath("mail"),
  });
  await untilReady("mail", installation, processes);
  return "mail";
}

async function migrate(installation: Installation, schema: SchemaMark): Promise<void> {
  schema.clear();
  await muster(installation, "migrate");
  schema.set();
}

/** Whether the process had to be started. */
function upTarget(target: Target, installation: Installation, processes: ProcessFiles): boolean {
  if (isRunning(target, processes)) return false;
  processes.launch(target, {
    program: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", MAIN, "serve", `--target=${target}`],
    environment: environmentOf(installation, target),
    logPath: logPath(target),
  });
  return true;
}

function logPath(part: Part): string {
  return join(folder, "logs", `${part}.log`);
}

async function untilReady(part: Part, installation: Installation, processes: ProcessFiles): Promise<void> {
  const deadline = performance.now() + READY_MS_MAX;
  while (performance.now() < deadline && isRunning(part, processes)) {
    const isReady = (await stateOf(part, installation, processes)) === "ready";
    // A process that failed to open its port has ended by now, whoever responds on that port.
    if (isReady && isRunning(part, processes)) return;
    await new Promise((done) => setTimeout(done, POLL_MS));
  }
  const tail = readFileSync(logPath(part), "utf8").trimEnd().split("\n").slice(-15).join("\n");
  throw new Error(`${part} does not get ready; the end of ${logPath(part)}:\n${tail}`);
}

/** Runs a command of the CLI on the installation; resolves to its output. */
async function muster(installation: Installation, ...args: string[]): Promise<string> {
  const environment = environmentOf(installation);
  const parameters = ["--disable-warning=ExperimentalWarning", MAIN, ...args];
  const { code, output } = await runProcess(process.execPath, parameters, { cwd: ROOT, environment });
  if (code !== 0) throw new Error(`muster ${args.join(" ")} failed:\n${output}`);
  return output;
}

async function ensureDemoKey(installation: Installation): Promise<string> {
  const path = join(folder, KEY_FILE);
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const output = await muster(installation, "create-organization", "--name", "Demo");
  const key = /^api_key +(\S+)$/m.exec(output)?.[1];
  if (key === undefined) throw new Error(`no key in:\n${output}`);
  writeFileSync(path, `${key}\n`, { mode: 0o600 });
  return key;
}

async function down(): Promise<void> {
  const processes = new ProcessFiles(join(folder, "pids"));
  rmSync(environmentFile(folder), { force: true });
  // Callers stop before the services that they call; the servers that all depend on stop last.
  for (const target of [...TARGETS].reverse()) await processes.stop(target, STOP_MS_MAX);
  await Promise.all(SERVERS.map((name) => processes.stop(name, STOP_MS_MAX)));
  report(`Muster is down; its data stays in ${folder}.`);
}

/** Fails unless every part is ready. */
async function status(): Promise<void> {
  if (!existsSync(join(folder, "installation.json"))) throw new Error("Nothing was ever up here: make up.");
  const processes = new ProcessFiles(join(folder, "pids"));
  const unready = await printParts(await openInstallation(folder, undefined), processes);
  if (unready.length > 0)
    throw new Error(`Not ready: ${unready.join(", ")}. \`make up\` starts what is down.`);
}

/** Prints a line for each part, and returns the parts that are not ready. */
async function printParts(installation: Installation, processes: ProcessFiles): Promise<Part[]> {
  const { ports, mysqlPort, natsPort, mailPort } = installation;
  const places: [Part, string][] = TARGETS.map((target) => {
    const { http, grpc } = ports[target];
    return [target, `http://127.0.0.1:${http}${target === "gateway" ? "" : `   gRPC 127.0.0.1:${grpc}`}`];
  });
  places.push(
    ["mariadb", `mysql://root@127.0.0.1:${mysqlPort}`],
    ["nats", `nats://127.0.0.1:${natsPort}`],
    ["mail", `smtp://127.0.0.1:${mailPort}   mails in ${join(folder, "mail")}`],
  );
  const states = await Promise.all(places.map(([part]) => stateOf(part, installation, processes)));
  for (const [index, [part, place]] of places.entries()) {
    const pid = processes.pid(part);
    const process = pid === undefined ? "" : `pid ${pid}`;
    report(`  ${part.padEnd(10)}${(states[index] ?? "").padEnd(18)}${process.padEnd(13)}${place}`);
  }
  report(`  logs in ${join(folder, "logs")}; API key in ${join(folder, KEY_FILE)}`);
  return places.filter((_, index) => states[index] !== "ready").map(([part]) => part);
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
