// Plants a dead export, a file nobody imports and a dependency nobody uses, and expects knip to find them
// under the repository's own settings.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, expect, test } from "vitest";
import { runProcess } from "../run-process.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "muster-knip-"));

afterAll(() => rmSync(folder, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

test("dead code is found", async () => {
  cpSync(join(ROOT, "knip.json"), join(folder, "knip.json"));
  const workspaces = ["packages/*", "services/*", "apps/*"];
  write("package.json", JSON.stringify({ name: "planted", type: "module", workspaces }));
  const manifest = { name: "@muster/service-a", type: "module", exports: { ".": "./src/module.ts" } };
  write("services/a/package.json", JSON.stringify({ ...manifest, dependencies: { knex: "1.0.0" } }));
  write("services/a/src/module.ts", 'import { used } from "./parts.ts";\nused();\n');
  write("services/a/src/parts.ts", "export function used(): void {}\nexport function dead(): void {}\n");
  write("services/a/src/nobody.ts", "export const alone = 1;\n");

  const knip = join(ROOT, "node_modules/.bin/knip");
  const { code, output } = await runProcess(knip, ["--no-progress", "--no-config-hints"], { cwd: folder });

  expect(code).not.toBe(0);
  expect(output).toMatch(/Unused exports \(1\)\ndead +function +services\/a\/src\/parts\.ts/);
  expect(output).toMatch(/Unused files \(1\)\nservices\/a\/src\/nobody\.ts/);
  expect(output).toMatch(/Unused dependencies \(1\)\nknex/);
});
