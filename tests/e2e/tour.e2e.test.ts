// The README's tour, run as it stands: each command, and the output that it shows.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installation, startInstallation } from "../harness/installation.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Step {
  readonly command: string;
  readonly output: string;
}

/** The steps of every ```console block: `$ ` begins a command, a backslash continues it, the rest is output. */
function stepsOf(markdown: string): Step[] {
  const steps: Step[] = [];
  for (const [, block = ""] of markdown.matchAll(/```console\n([\s\S]*?)```/g)) {
    let command: string | undefined;
    let output = "";
    let continues = false;
    for (const line of block.split("\n")) {
      if (line.startsWith("$ ")) {
        if (command !== undefined) steps.push({ command, output: output.trim() });
        command = line.slice(2);
        output = "";
      } else if (continues) command += `\n${line}`;
      else output += `${line}\n`;
      continues = (line.startsWith("$ ") || continues) && line.endsWith("\\");
    }
    if (command !== undefined) steps.push({ command, output: output.trim() });
  }
  return steps;
}

/** What differs from run to run: ids, instants, keys. */
function withoutVariables(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<id>")
    .replaceAll(/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z/g, "<instant>")
    .replaceAll(/mk_[\w-]+/g, "<key>")
    .trim();
}

/** One shell for the whole tour, so that variables last from step to step. */
async function runSteps(steps: readonly Step[], toHere: (command: string) => string): Promise<string[]> {
  const marker = "---- end of step ----";
  const shell = spawn("bash", ["--noprofile", "--norc"], { cwd: ROOT, env: process.env });
  let output = "";
  shell.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  shell.stderr.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  for (const { command } of steps) shell.stdin.write(`${toHere(command)}\necho; echo "${marker}"\n`);
  shell.stdin.end();
  await new Promise((resolve) => shell.on("close", resolve));
  return output.split(marker).slice(0, steps.length);
}

let installation: Installation;
beforeAll(async () => {
  installation = await startInstallation("embedded");
});
afterAll(async () => installation?.stop());

test("the README's tour gives the outputs that it shows", { timeout: 120_000 }, async () => {
  const steps = stepsOf(await readFile(join(ROOT, "README.md"), "utf8"));
  expect(steps.length).toBeGreaterThan(10);
  const dataFolder = installation.variables.MUSTER_DATA_DIR ?? "";
  const toHere = (command: string): string =>
    command
      .replaceAll("http://127.0.0.1:3000", installation.url)
      .replaceAll("127.0.0.1:50051", installation.eventsAddress)
      .replaceAll("data/demo-api-key", `${dataFolder}/demo-api-key`)
      .replaceAll(
        "./muster import",
        `./muster import --url ${installation.url} --api-key ${installation.apiKey}`,
      );
  const outputs = await runSteps(steps, toHere);
  const shown = steps.map(({ command, output }) => ({ command, output: withoutVariables(output) }));
  const real = steps.map(({ command }, step) => ({ command, output: withoutVariables(outputs[step] ?? "") }));
  expect(real).toEqual(shown);
});
