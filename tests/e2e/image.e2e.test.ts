// Boots the command of the image: the files that the Dockerfile copies and no others, owned by another user,
// in a foreign working directory, with environment variables alone.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  cpSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { freePort, testMysqlUrl, testNatsUrl } from "@muster/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = resolve(import.meta.dirname, "../..");
const DOCKERFILE = readFileSync(join(ROOT, "deploy/docker/Dockerfile"), "utf8");
/** The user of the image. Only root may start processes of another user. */
const [UID, GID] = (/^USER (\d+):(\d+)$/m.exec(DOCKERFILE) ?? []).slice(1).map(Number);
const AS_USER = process.getuid?.() === 0 ? { uid: UID, gid: GID } : {};
const READY_MS_MAX = 60_000;

const image = mkdtempSync(join(tmpdir(), "muster-image-"));
const app = join(image, "app");
const processes: ChildProcess[] = [];

/** Files that git tracks, under the paths of the Dockerfile, without those that .dockerignore leaves out. */
function copySources(): void {
  const copied = [...DOCKERFILE.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) =>
    paths.split(" "),
  );
  const paths = execFileSync("git", ["ls-files", "-z", "--", ...copied], { cwd: ROOT, encoding: "utf8" });
  const left = /\.test\.ts$|\/testdata\/|^packages\/testkit\/src\//;
  for (const path of paths.split("\0").filter((path) => path !== "" && !left.test(path))) {
    mkdirSync(dirname(join(app, path)), { recursive: true });
    cpSync(join(ROOT, path), join(app, path));
  }
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly link?: boolean;
  readonly resolved?: string;
}

/** What `npm ci --omit=dev` installs, taken from this checkout. */
function installPackages(): void {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, LockedPackage>;
  };
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (!path.includes("node_modules/") || entry.dev === true || entry.devOptional === true) continue;
    if (lstatSync(join(ROOT, path), { throwIfNoEntry: false }) === undefined) continue;
    mkdirSync(dirname(join(app, path)), { recursive: true });
    if (entry.link === true) {
      const target = join(app, entry.resolved ?? "");
      symlinkSync(relative(dirname(join(app, path)), target), join(app, path));
    } else {
      const isNested = (source: string): boolean =>
        !relative(join(ROOT, path), source).includes("node_modules");
      cpSync(join(ROOT, path), join(app, path), { recursive: true, filter: isNested });
    }
  }
}

/** The node of this checkout may lie in a folder that the image's user cannot enter. */
function installNode(): string {
  const node = join(image, "node");
  try {
    linkSync(process.execPath, node);
  } catch {
    cpSync(process.execPath, node);
  }
  return node;
}

function entryPoint(): string[] {
  const [, json = "[]"] = /^ENTRYPOINT (\[.+\])$/m.exec(DOCKERFILE) ?? [];
  return (JSON.parse(json) as string[]).map((part) => part.replace(/^\/app\//, `${app}/`));
}

function start(args: readonly string[], variables: Readonly<Record<string, string>>): ChildProcess {
  const [, ...parameters] = entryPoint();
  const options = {
    cwd: "/",
    env: { ...variables, PATH: "/usr/bin:/bin", NODE_ENV: "production" },
    ...AS_USER,
  };
  const child = spawn(join(image, "node"), [...parameters, ...args], options);
  processes.push(child);
  return child;
}

/** Collects what the process prints, for the message of a failed expectation. */
function outputOf(child: ChildProcess): () => string {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return () => output;
}

async function expectReady(child: ChildProcess, port: number): Promise<void> {
  const output = outputOf(child);
  const readyz = async (): Promise<number> => {
    expect(child.exitCode, output()).toBeNull();
    return fetch(`http://127.0.0.1:${port}/readyz`).then(
      ({ status }) => status,
      () => 0,
    );
  };
  await expect.poll(readyz, { timeout: READY_MS_MAX, message: "the process gets ready" }).toBe(200);
}

async function end(child: ChildProcess): Promise<number | null> {
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return ended;
}

beforeAll(() => {
  mkdirSync(app);
  copySources();
  installPackages();
  installNode();
  // Even the owner of the tree cannot write to the tree, so that the test means the same without root.
  execFileSync("chmod", ["-R", "a+rX,a-w", app]);
  chmodSync(image, 0o755);
}, 120_000);

afterAll(() => {
  for (const child of processes) child.kill("SIGKILL");
  execFileSync("chmod", ["-R", "u+w", app]);
  rmSync(image, { recursive: true, force: true });
});

test("production mode: migrate, then every target", { timeout: 180_000 }, async () => {
  const name = `img${randomBytes(4).toString("hex")}`;
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const variables = {
    MUSTER_MODE: "production",
    MUSTER_DATABASE_URL: await testMysqlUrl(),
    MUSTER_DATABASE_PREFIX: `${name}_`,
    MUSTER_NATS_URL: await testNatsUrl(),
    MUSTER_NATS_PREFIX: name,
    MUSTER_SECRET: randomBytes(32).toString("base64"),
    MUSTER_IDENTITY_SECRET: randomBytes(32).toString("base64"),
    MUSTER_HTTP_HOST: "127.0.0.1",
    MUSTER_HTTP_PORT: String(http),
    MUSTER_GRPC_HOST: "127.0.0.1",
    MUSTER_GRPC_PORT: String(grpc),
    MUSTER_METRICS_PORT: String(metrics),
    MUSTER_PUBLIC_URL: `http://127.0.0.1:${http}`,
    MUSTER_SMTP_URL: "smtp://127.0.0.1:9",
    MUSTER_MAIL_FROM: "no-reply@muster.test",
  };
  const migration = start(["migrate"], variables);
  const output = outputOf(migration);
  const code = await new Promise((resolve) => migration.once("exit", resolve));
  expect(code, output()).toBe(0);
  const server = start(["serve", "--target=all"], variables);
  await expectReady(server, http);
  expect((await fetch(`http://127.0.0.1:${http}/version`)).status).toBe(200);
  // The public port does not show the metrics.
  expect((await fetch(`http://127.0.0.1:${http}/metrics`)).status).toBe(404);
  const text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
  expect(text).toContain("muster_http_request_duration_seconds");
  expect((await fetch(`http://127.0.0.1:${metrics}/readyz`)).status).toBe(404);
  expect(await end(server)).toBe(0);
});

test("embedded mode writes to its data folder and nowhere else", { timeout: 120_000 }, async () => {
  const dataDir = join(image, "data");
  mkdirSync(dataDir, { mode: 0o777 });
  chmodSync(dataDir, 0o777);
  const [http, grpc] = [await freePort(), await freePort()];
  const server = start(["serve"], {
    MUSTER_MODE: "embedded",
    MUSTER_DATA_DIR: dataDir,
    MUSTER_HTTP_PORT: String(http),
    MUSTER_GRPC_PORT: String(grpc),
  });
  await expectReady(server, http);
  expect(await end(server)).toBe(0);
});

test("the tree refuses writes", () => {
  const script = `require("node:fs").writeFileSync(${JSON.stringify(join(app, "config/x"))}, "")`;
  const writes = (): unknown =>
    execFileSync(join(image, "node"), ["-e", script], { ...AS_USER, stdio: "pipe" });
  expect(writes).toThrow(/EACCES|EPERM/);
});
