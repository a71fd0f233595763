import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { freePort } from "./free-port.ts";

const MODULE = fileURLToPath(new URL("./free-port.ts", import.meta.url));
const PORTS_PER_PROCESS = 100;
/** Prints ports, and ends when its input ends, so that every process holds its ports until all have printed. */
const SCRIPT = `
  const { freePort } = await import(process.argv[1]);
  const ports = [];
  for (let count = 0; count < ${PORTS_PER_PROCESS}; count += 1) ports.push(await freePort());
  process.stdout.write(JSON.stringify(ports));
  process.stdin.resume();
`;

function portsOfProcess() {
  const running = promisify(execFile)(process.execPath, ["--input-type=module", "--eval", SCRIPT, MODULE]);
  const printed = new Promise<void>((resolve) => running.child.stdout?.once("data", () => resolve()));
  return { running, printed };
}

test("no port is allocated twice, by one process or by several at once", async () => {
  const processes = [portsOfProcess(), portsOfProcess(), portsOfProcess()];
  await Promise.all(processes.map(({ printed }) => printed));
  for (const { running } of processes) running.child.stdin?.end();
  const outputs = await Promise.all(processes.map(({ running }) => running));
  const ports = outputs.flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
  for (let count = 0; count < PORTS_PER_PROCESS; count += 1) ports.push(await freePort());
  expect(ports).toHaveLength(4 * PORTS_PER_PROCESS);
  expect(new Set(ports).size).toBe(ports.length);
});
