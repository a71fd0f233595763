// Runs the commands of a page against an installation under test and returns each command with its output.
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Installation } from "./installation.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Shown {
  readonly command: string;
  readonly output: string;
}

/** The page's output and the real output, without the parts that differ between runs. */
export async function runPage(
  path: string,
  installation: Installation,
): Promise<{ readonly shown: readonly Shown[]; readonly real: readonly Shown[] }> {
  const steps = stepsOf(await readFile(join(ROOT, path), "utf8"));
  const outputs = await runSteps(steps, (command) => toHere(command, installation));
  return {
    shown: steps.map(({ command, output }) => ({ command, output: withoutVariables(output) })),
    real: steps.map(({ command }, step) => ({ command, output: withoutVariables(outputs[step] ?? "") })),
  };
}

/** The same command, with the addresses of this installation. */
function toHere(command: string, installation: Installation): string {
  const dataFolder = installation.variables.MUSTER_DATA_DIR ?? "";
  return command
    .replaceAll("http://127.0.0.1:3000", installation.url)
    .replaceAll("127.0.0.1:50051", installation.eventsAddress)
    .replaceAll(/\bdata\/(?=demo-|mail\/|tokens)/g, `${dataFolder}/`)
    .replaceAll("./muster create-partner", `MUSTER_DATA_DIR=${dataFolder} ./muster create-partner`)
    .replaceAll(
      "./muster import",
      `./muster import --url ${installation.url} --api-key ${installation.apiKey}`,
    );
}

/**
 * The steps of every ```console block: `$ ` begins a command, a backslash continues it, the remaining lines
 * are output.
 */
function stepsOf(markdown: string): Shown[] {
  const steps: Shown[] = [];
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

/** Removes ids, instants and keys, which differ between runs. */
function withoutVariables(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "<id>")
    .replaceAll(/\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z/g, "<instant>")
    .replaceAll(/mk_[\w-]+/g, "<key>")
    .trim();
}

/** A single shell for all steps, so that variables last from step to step. */
async function runSteps(steps: readonly Shown[], toHere: (command: string) => string): Promise<string[]> {
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
