// Starts a private NATS with JetStream on files.
import { mkdir } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { findProgram, hasDocker, installDebianPackage } from "./machine-programs.ts";
import type { ServerOptions } from "./mysql-server.ts";
import { PrivateServer } from "./private-server.ts";

const IMAGE = "nats:2.10";
const GREETING_TIMEOUT_MS = 2000;

/** Starts a NATS server, or fails with the name of the package to install. */
export async function startNatsServer(options: ServerOptions): Promise<PrivateServer> {
  await mkdir(options.folder, { recursive: true });
  const port = options.port ?? (await freePort());
  const server = new PrivateServer({
    name: "nats",
    folder: options.folder,
    url: `nats://127.0.0.1:${port}`,
    ...(await commandLine(options, port)),
    isReady: () => greets(port),
  });
  await server.start({ isDetached: options.isDetached === true });
  return server;
}

async function commandLine(
  options: ServerOptions,
  port: number,
): Promise<{ program: string; args: string[] }> {
  const findServer = (): string | undefined => findProgram("nats-server");
  if (findServer() === undefined && !(await hasDocker())) await installDebianPackage("nats-server");
  const program = findServer();
  if (program !== undefined) {
    const store = join(options.folder, "nats");
    return {
      program,
      args: ["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", store],
    };
  }
  if (!(await hasDocker())) {
    throw new Error(
      "no NATS for the tests: set MUSTER_TEST_NATS_URL, or install nats-server, or start Docker",
    );
  }
  return { program: "docker", args: ["run", "--rm", "-p", `127.0.0.1:${port}:4222`, IMAGE, "--jetstream"] };
}

/** A server sends INFO {…} by itself; JetStream is available slightly later than the port. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const finish = (isReady: boolean): void => {
      socket.destroy();
      resolve(isReady);
    };
    socket.setTimeout(GREETING_TIMEOUT_MS, () => finish(false));
    socket.once("error", reject);
    socket.once("close", () => finish(false));
    socket.on("data", (chunk) => {
      text += chunk.toString("utf8");
      if (text.includes("\n")) finish(/"jetstream":\s*true/.test(text));
    });
  });
}
