// Allocates TCP ports of test servers: a process never gets a port twice, and two processes never get the same one.
import { randomInt } from "node:crypto";
import { createServer, type Server } from "node:net";

/** Ports below those that systems give to outgoing connections, which could take a free port before its server. */
const PORTS = { min: 20_000, max: 32_000 } as const;
const BLOCK_PORTS = 40;
const BLOCKS = (PORTS.max - PORTS.min) / BLOCK_PORTS;

let unused: number[] = [];

/** A port without a listener. Servers that were started by an earlier process may hold ports, so each is tried. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = unused.pop();
    if (port === undefined) unused = unused.concat(await claimBlock());
    else if (await isFree(port)) return port;
  }
}

/** The ports of a block but the first. A listener on the first port holds the block until the process ends. */
async function claimBlock(): Promise<number[]> {
  for (;;) {
    const first = PORTS.min + randomInt(BLOCKS) * BLOCK_PORTS;
    const holder = await listen(first);
    if (holder === undefined) continue;
    holder.unref();
    return Array.from({ length: BLOCK_PORTS - 1 }, (_, index) => first + 1 + index);
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
