// Plants a violation of every import rule in a copy of the tree's shape and expects each to be found:
// dependency-cruiser passes silently when it cannot read the sources.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { checkImports, type ImportReport } from "./import-rules.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** Planted files: the imports of each, and the rules that it must violate. */
const planted: Record<string, { imports: string; rules: string[]; header?: string }> = {
  "packages/core/src/index.ts": { imports: "export const one = 1;", rules: [] },
  "packages/core/src/up.ts": {
    imports: 'import "@muster/log";',
    rules: ["core-and-errors-at-the-bottom"],
  },
  "packages/errors/src/index.ts": { imports: 'import "@muster/log";', rules: ["errors-near-the-bottom"] },
  "packages/log/src/index.ts": { imports: "export const two = 2;", rules: [] },
  "packages/log/src/service.ts": {
    imports: 'import "../../../services/events/src/module.ts";',
    rules: ["packages-below-services"],
  },
  "packages/db/src/sqlite.ts": { imports: 'import "better-sqlite3";\nimport "knex";', rules: [] },
  "packages/bus/src/bus.ts": { imports: 'import "nats";', rules: ["nats-in-its-adapter-only"] },
  "packages/bus/src/jetstream.ts": { imports: 'import "nats";', rules: [] },
  "packages/testkit/src/index.ts": { imports: 'import "mysql2";', rules: [] },
  "packages/rpc/src/cycle-a.ts": { imports: 'import "./cycle-b.ts";', rules: ["no-cycles"] },
  // A cycle is reported once, for its first file.
  "packages/rpc/src/cycle-b.ts": { imports: 'import "./cycle-a.ts";', rules: [] },
  "packages/rpc/src/type-cycle-a.ts": {
    imports: 'import type { value as other } from "./type-cycle-b.ts";\nexport type Other = typeof other;',
    rules: ["no-cycles"],
  },
  "packages/rpc/src/type-cycle-b.ts": {
    imports: 'import type { value as other } from "./type-cycle-a.ts";\nexport type Other = typeof other;',
    rules: [],
  },
  "packages/rpc/src/missing.ts": { imports: 'import "./nowhere.ts";', rules: ["resolvable"] },
  "services/events/src/module.ts": {
    imports: 'import "../../../apps/muster/src/main.ts";',
    rules: ["services-below-apps"],
  },
  "services/events/src/stranger.ts": {
    imports: 'import type {} from "../../segments/src/module.ts";',
    rules: ["services-are-strangers"],
  },
  "services/events/src/event-store.ts": { imports: 'import "knex";', rules: [] },
  "services/events/migrations/0001_first.ts": { imports: 'import type {} from "knex";', rules: [] },
  "services/events/src/record-event.ts": {
    imports: 'import type { Knex } from "knex";',
    rules: ["knex-in-stores-only"],
  },
  "services/events/src/driver.ts": { imports: 'import "mysql2";', rules: ["drivers-in-their-adapter-only"] },
  "services/events/src/transport.ts": { imports: 'import "@grpc/grpc-js";', rules: ["grpc-in-rpc-only"] },
  "services/events/src/connect.ts": {
    imports: 'import "@connectrpc/connect";',
    rules: ["connect-in-rpc-and-gateway-only"],
  },
  "services/events/src/adapter.ts": {
    imports: 'import "@muster/db/sqlite";',
    rules: ["adapters-chosen-in-one-place"],
  },
  "services/events/src/uses-test-code.ts": {
    imports: 'import "@muster/testkit";',
    rules: ["no-test-code-in-production"],
  },
  "services/events/src/uses-dev.ts": {
    imports: 'import "fast-check";',
    rules: ["no-development-dependency-in-production"],
  },
  "services/segments/src/module.ts": { imports: "export const three = 3;", rules: [] },
  "services/segments/src/engine/evaluate-rule.ts": {
    imports: 'import "node:fs";\nimport "@muster/core";\nimport "./facts.ts";',
    rules: ["pure-stays-pure"],
  },
  "services/segments/src/engine/facts.ts": { imports: 'import "node:crypto";', rules: [] },
  "services/segments/src/slug.ts": {
    header: "// Slugs of names. Pure.",
    imports: 'import "@muster/log";',
    rules: ["pure-stays-pure"],
  },
  "apps/muster/src/main.ts": { imports: 'import "./platform/platform-embedded.ts";', rules: [] },
  "apps/muster/src/platform/platform-embedded.ts": { imports: 'import "@muster/db/sqlite";', rules: [] },
};

const folder = mkdtempSync(join(tmpdir(), "muster-imports-"));
let report: ImportReport;

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

beforeAll(async () => {
  for (const [path, { header, imports }] of Object.entries(planted)) {
    write(path, `${header ?? "// Planted."}\n${imports}\nexport const value: number = 1;\n`);
  }
  for (const path of Object.keys(planted).filter((file) => file.startsWith("packages/"))) {
    const name = path.split("/")[1] ?? "";
    const manifest = { name: `@muster/${name}`, exports: { ".": "./src/index.ts", "./*": "./src/*.ts" } };
    write(`packages/${name}/package.json`, JSON.stringify(manifest));
  }
  write("package.json", JSON.stringify({ devDependencies: { "fast-check": "1.0.0" } }));
  linkModules();
  report = await checkImports(folder);
});

/** Links npm names to real packages, and Muster's names to the planted packages. */
function linkModules(): void {
  mkdirSync(join(folder, "node_modules/@muster"), { recursive: true });
  for (const name of ["core", "errors", "log", "db", "bus", "testkit"]) {
    symlinkSync(join(folder, "packages", name), join(folder, "node_modules/@muster", name));
  }
  for (const name of ["knex", "mysql2", "nats", "better-sqlite3", "@grpc", "@connectrpc", "fast-check"]) {
    symlinkSync(join(ROOT, "node_modules", name), join(folder, "node_modules", name));
  }
}

afterAll(() => rmSync(folder, { recursive: true }));

test.each(Object.entries(planted))("%s", (path, { rules }) => {
  const tripped = report.violations.filter(({ from }) => from === path).map(({ rule }) => rule);
  expect([...new Set(tripped)]).toEqual(rules);
});

test("our own tree can be read", async () => {
  const own = await checkImports(ROOT);
  expect(own.dependencyCount).toBeGreaterThan(40);
}, 120_000);
