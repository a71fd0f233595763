// Observes the parts of `make up`: whether a process runs, and whether it responds.
import { connect } from "node:net";
import type { Target } from "@muster/config";
import type { Installation } from "./installation.ts";
import type { ProcessFiles } from "./process-files.ts";

/** A frozen process accepts connections but does not respond. */
const RESPONSE_MS_MAX = 2_000;

export const SERVERS = ["mariadb", "nats", "mail"] as const;
export type Part = Target | (typeof SERVERS)[number];

/** "ready", or the reason why the part is of no use now. */
export async function stateOf(part: Part, installation: Installation, files: ProcessFiles): Promise<string> {
  if (files.pid(part) === undefined) return "down";
  if (part === "mariadb") return (await greets(installation.mysqlPort)) ? "ready" : "does not respond";
  if (part === "nats") return (await greets(installation.natsPort)) ? "ready" : "does not respond";
  if (part === "mail") return (await greets(installation.mailPort)) ? "ready" : "does not respond";
  return readiness(installation.ports[part].http);
}

async function readiness(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, {
      signal: AbortSignal.timeout(RESPONSE_MS_MAX),
    });
    return response.ok ? "ready" : "not ready";
  } catch {
    return "does not respond";
  }
}

/** MariaDB, NATS and mail servers send the first bytes of a connection. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const end = (hasGreeted: boolean) => (): void => {
      socket.destroy();
      resolve(hasGreeted);
    };
    socket.setTimeout(RESPONSE_MS_MAX, end(false));
    socket.once("data", end(true));
    socket.once("error", end(false));
    socket.once("end", end(false));
  });
}
