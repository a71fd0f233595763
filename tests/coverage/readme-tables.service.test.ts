// Compares the tables in the README of each service with descriptors, migrations, workers and metrics. The lists of
// indexes, metrics and permissions are generated: MUSTER_GOLDEN_UPDATE=1 writes the lists.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { EVERY_KEY_PERMISSION, PERMISSIONS, ROLES, rolesWith } from "@muster/authz";
import type { Database } from "@muster/db";
import type { ServiceName } from "@muster/runtime";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { allServices } from "./all-services.ts";
import { TargetBuilder } from "./build-target.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SERVICES: readonly ServiceName[] = ["identity", "events", "segments"];
/** Tables that packages create in the schema of a service. Their contents are described once, by the package. */
const PACKAGE_TABLES =
  /^(shard_positions|outbox_|relay_|shard_cursors|awaited_positions|consumer_members|dead_letters|idempotency_)/;

let builder: TargetBuilder;

beforeAll(async () => {
  builder = await TargetBuilder.open();
});
afterAll(() => builder?.close());

describe.each(SERVICES)("README of %s", (service) => {
  const path = resolve(ROOT, `services/${service}/README.md`);
  const readme = readFileSync(path, "utf8");

  test("lists every RPC, and no other", async () => {
    const names = new Set<string>();
    for (const [, name = ""] of section(readme, "RPCs").matchAll(
      /`([A-Z][a-z][A-Za-z]*(?:\.[A-Za-z]+)?)`/g,
    )) {
      for (const part of name.split(".")) names.add(part);
    }
    const expected = (await allServices())
      .filter(({ typeName }) => typeName.startsWith(`muster.${service}.v1.`))
      .flatMap(({ name, methods }) => [name, ...methods.map((method) => method.name)]);
    expect([...names].sort()).toEqual([...new Set(expected)].sort());
  });

  test("lists every table of the service, and no other", async () => {
    const tables = (await tablesOf(builder.databaseOf(service))).map(({ name }) => name);
    const listed = firstColumn(section(readme, "Tables"));
    const own = tables.filter((name) => !PACKAGE_TABLES.test(name));
    expect(listed.filter((name) => !PACKAGE_TABLES.test(name)).sort()).toEqual(own);
    expect(tables).toEqual(expect.arrayContaining(listed));
  });

  test("lists every worker by class or name, and no other", async () => {
    const { workers } = await builder.build(service);
    const listed = firstColumn(section(readme, "Workers"));
    const namesOf = workers.map((worker) => [worker.constructor.name, worker.name]);
    for (const names of namesOf) {
      expect(
        names.some((name) => listed.includes(name)),
        names.join(" or "),
      ).toBe(true);
    }
    for (const name of listed) expect(namesOf.flat(), name).toContain(name);
  });

  test("has the index strategy of the migrations", async () => {
    const tables = await tablesOf(builder.databaseOf(service));
    const rows = tables.map(({ name, primaryKey, indexes }) => [
      code(name),
      code(primaryKey.join(", ")),
      indexes
        .map(({ unique, columns }) => `${unique ? "unique " : ""}${code(columns.join(", "))}`)
        .join("; "),
    ]);
    checkGenerated(path, "indexes", table(["Table", "Primary key", "Other indexes"], rows));
  });

  test("has the metrics of the registry", async () => {
    const { metrics } = await builder.build(service);
    const rows = metrics.map(({ name, type, labelNames, help }) => [
      code(name),
      type,
      labelNames.map(code).join(", "),
      help,
    ]);
    checkGenerated(path, "metrics", table(["Metric", "Type", "Labels", "Meaning"], rows));
  });
});

test("the README of identity has the table of roles and permissions", () => {
  const rows = PERMISSIONS.map((permission) => [
    code(permission),
    ...ROLES.map((role) => (rolesWith(permission).includes(role) ? "yes" : "")),
    EVERY_KEY_PERMISSION.includes(permission) ? "yes" : "",
  ]);
  const head = ["Permission", ...ROLES, "key with `*`"];
  checkGenerated(resolve(ROOT, "services/identity/README.md"), "permissions", table(head, rows));
});

interface TableShape {
  readonly name: string;
  readonly primaryKey: readonly string[];
  readonly indexes: readonly { readonly unique: boolean; readonly columns: readonly string[] }[];
}

/** The tables of a SQLite schema by name, without the tables of the migrations. */
async function tablesOf({ reader }: Database): Promise<TableShape[]> {
  const shapes: TableShape[] = [];
  const tables: { name: string }[] = await reader.raw(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'schema_migration%' ORDER BY name",
  );
  for (const { name } of tables) {
    const keys: { name: string }[] = await reader.raw(
      "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk",
      [name],
    );
    const found: { name: string; unique: number }[] = await reader.raw(
      "SELECT name, \"unique\" FROM pragma_index_list(?) WHERE origin = 'c' ORDER BY name",
      [name],
    );
    const indexes: TableShape["indexes"][number][] = [];
    for (const index of found) {
      const columns: { name: string }[] = await reader.raw(
        "SELECT name FROM pragma_index_info(?) ORDER BY seqno",
        [index.name],
      );
      indexes.push({ unique: index.unique === 1, columns: columns.map((column) => column.name) });
    }
    shapes.push({ name, primaryKey: keys.map((key) => key.name), indexes });
  }
  return shapes;
}

/** The text below a heading of the second level, up to the next one. */
function section(readme: string, title: string): string {
  const [, ...sections] = readme.split(/^## /m);
  const found = sections.find((text) => text.startsWith(`${title}\n`));
  expect(found, `the section "${title}"`).toBeDefined();
  return found ?? "";
}

/** The names in the first column of the tables. */
function firstColumn(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `|${cells.map((cell) => ` ${cell} |`).join("")}\n`;
  return `${line(head)}|${head.map(() => "---|").join("")}\n${rows.map(line).join("")}`;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** Expects the generated part of a README, or writes it with MUSTER_GOLDEN_UPDATE=1. */
function checkGenerated(path: string, name: string, text: string): void {
  const readme = readFileSync(path, "utf8");
  const begin = `<!-- generated: ${name} -->\n`;
  const end = "<!-- end -->\n";
  const start = readme.indexOf(begin);
  const stop = readme.indexOf(end, start);
  expect(start, `"${begin.trim()}" in ${path}`).toBeGreaterThan(-1);
  expect(stop, `"${end.trim()}" in ${path}`).toBeGreaterThan(start);
  if (process.env.MUSTER_GOLDEN_UPDATE === "1") {
    writeFileSync(path, readme.slice(0, start) + begin + text + readme.slice(stop));
    return;
  }
  expect(readme.slice(start + begin.length, stop), "run again with MUSTER_GOLDEN_UPDATE=1").toBe(text);
}
