// Compares the protos with a committed image. The image moves only by `make proto-baseline`, with a decision
// page that gives the reason and names the image's digest.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { runProcess } from "../run-process.ts";
import type { Finding } from "./source-files.ts";

export const BASELINE = "tools/proto-baseline.binpb";
const DECISIONS = "docs/decisions";

export async function checkProtoBaseline(root: string): Promise<Finding[]> {
  const findings = checkDecision(root);
  const buf = join(root, "node_modules/.bin/buf");
  const parameters = ["breaking", "proto", "--against", BASELINE, "--exclude-imports"];
  const { code, output } = await runProcess(buf, parameters, { cwd: root });
  if (code !== 0) findings.push({ path: "proto", line: 0, message: output.trim() });
  return findings;
}

/** Finds the decision page that names the digest of the current image. */
export function checkDecision(root: string): Finding[] {
  const digest = digestOf(root);
  const folder = join(root, DECISIONS);
  const pages = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".md")) : [];
  if (pages.some((page) => readFileSync(join(folder, page), "utf8").includes(digest))) return [];
  const message = `no page of ${DECISIONS} names its digest ${digest}: move it by make proto-baseline`;
  return [{ path: BASELINE, line: 0, message }];
}

function digestOf(root: string): string {
  return createHash("sha256")
    .update(readFileSync(join(root, BASELINE)))
    .digest("hex")
    .slice(0, 16);
}

/** Rebuilds the image and writes its digest at the end of the decision page. */
async function moveBaseline(root: string, decision: string | undefined): Promise<void> {
  if (decision === undefined || !decision.startsWith(`${DECISIONS}/`) || !existsSync(join(root, decision))) {
    throw new Error(`Write the decision first, then: make proto-baseline DECISION=${DECISIONS}/<page>.md`);
  }
  const buf = join(root, "node_modules/.bin/buf");
  const parameters = ["build", "proto", "--exclude-source-info", "--output", BASELINE];
  const { code, output } = await runProcess(buf, parameters, { cwd: root });
  if (code !== 0) throw new Error(output);
  const page = readFileSync(join(root, decision), "utf8").replace(/\n+Image: `[0-9a-f]+`\n$/, "\n");
  writeFileSync(join(root, decision), `${page.trimEnd()}\n\nImage: \`${digestOf(root)}\`\n`);
}

if (import.meta.main) await moveBaseline(resolve(import.meta.dirname, "../.."), process.argv[2]);
