// Tests that migrations run in order, once, one process at a time, and are complete again after a crash.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ENGINES, FakeClock, openTestDatabase, type TestDatabase, waitFor } from "@muster/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Database, migrate, migrationStatus, requireMigratedSchema } from "../index.ts";

const SCHEMA = JSON.stringify(new URL("./schema.ts", import.meta.url).href);

describe.each(ENGINES)("migrations on %s", (engine) => {
  let place: TestDatabase;
  let database: Database;
  let path: string;
  let folder: URL;

  beforeEach(async () => {
    place = await openTestDatabase(engine);
    database = place.database;
    path = mkdtempSync(join(tmpdir(), "muster-migrations-"));
    folder = pathToFileURL(path);
  });
  afterEach(async () => {
    await place.close();
    rmSync(path, { recursive: true });
  });

  test("run in order, once, and record when", async () => {
    file("0001_create_things", CREATE_THINGS);
    const clock = new FakeClock(1_700_000_000_000);
    expect(await migrationStatus(database, folder)).toEqual([
      { number: 1, name: "0001_create_things", appliedMs: undefined },
    ]);
    expect(await migrate(database, folder, { clock })).toEqual([1]);

    file("0002_fill_things", "await schema.trx('things').insert({ id: 1, size: 2 });");
    file("0003_add_color", ADD_COLOR);
    const reported: string[] = [];
    const onApplied = (one: { name: string }): void => void reported.push(one.name);
    expect(await migrate(database, folder, { clock, onApplied })).toEqual([2, 3]);
    expect(await migrate(database, folder, { clock, onApplied })).toEqual([]);

    expect(reported).toEqual(["0002_fill_things", "0003_add_color"]);
    expect(await migrationStatus(database, folder)).toEqual(
      ["0001_create_things", "0002_fill_things", "0003_add_color"].map((name, index) => ({
        number: index + 1,
        name,
        appliedMs: 1_700_000_000_000,
      })),
    );
    expect(await database.reader("things").select()).toEqual([{ id: 1, size: 2, color: 5 }]);
  });

  test("two concurrent runs apply each migration once", async () => {
    const steps = join(path, "steps");
    const noting = (body: string): string => `
      const { appendFileSync } = await import("node:fs");
      appendFileSync(${JSON.stringify(steps)}, "start ");
      await new Promise((resolve) => setTimeout(resolve, 50));
      ${body}
      appendFileSync(${JSON.stringify(steps)}, "end ");`;
    file("0001_create_things", noting(CREATE_THINGS));
    file("0002_fill_things", noting("await schema.trx('things').insert({ id: 1, size: 2 });"));
    file("0003_add_color", noting(ADD_COLOR));
    const others = await Promise.all([place.openAnother(), place.openAnother()]);
    const applied = await Promise.all([database, ...others].map((one) => migrate(one, folder)));
    expect(applied.flat().sort()).toEqual([1, 2, 3]);
    expect(readFileSync(steps, "utf8")).toBe("start end start end start end ");
    expect(await database.reader("things").select()).toEqual([{ id: 1, size: 2, color: 5 }]);
  });

  test("a run waits for another long run, beyond the retries of a transaction", async () => {
    file("0001_create_things", CREATE_THINGS);
    const reached = join(path, "reached");
    file(
      "0002_takes_long",
      `${ADD_COLOR}
       const { writeFileSync } = await import("node:fs");
       writeFileSync(${JSON.stringify(reached)}, "");
       await new Promise((resolve) => setTimeout(resolve, 1500));`,
    );
    const impatient = await place.openAnother({
      sqlite: { retry: { attemptsMax: 1 } },
      mysql: { retry: { attemptsMax: 1 }, bounds: { lockWaitSeconds: 1 } },
    });
    const first = migrate(database, folder);
    await waitFor(() => existsSync(reached));
    expect(await Promise.all([first, migrate(impatient, folder)])).toEqual([[1, 2], []]);
  });

  test("a failed migration is not recorded, and runs again once it is fixed", async () => {
    file("0001_create_things", CREATE_THINGS);
    file("0002_fails", `${ADD_COLOR} throw new Error("on purpose");`);
    await expect(migrate(database, folder)).rejects.toThrow("on purpose");
    expect((await migrationStatus(database, folder)).map((one) => one.appliedMs === undefined)).toEqual([
      false,
      true,
    ]);
    rmSync(join(path, "0002_fails.ts"));
    file("0002_mended", ADD_COLOR);
    expect(await migrate(database, folder)).toEqual([2]);
  });

  test("the next run completes a migration that was killed", async () => {
    const reached = join(path, "reached");
    file("0001_create_things", CREATE_THINGS);
    file(
      "0002_dies_once",
      `${ADD_COLOR}
       const { existsSync, writeFileSync } = await import("node:fs");
       if (!existsSync(${JSON.stringify(reached)})) {
         writeFileSync(${JSON.stringify(reached)}, "");
         await new Promise((resolve) => setTimeout(resolve, 60_000));
       }
       await schema.dropIndex("things", "things_size");
       await schema.addUnique("things", "things_size_uq", ["size", "color"]);`,
    );
    const child = spawn(process.execPath, ["--input-type=module", "-e", await childScript()], {
      stdio: "inherit",
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    await waitFor(() => existsSync(reached), { timeoutMs: 15_000 });
    child.kill("SIGKILL");
    await ended;

    expect(await migrate(database, folder)).toEqual([2]);
    await database.transaction((trx) => trx("things").insert({ id: 1, size: 2, color: 3 }));
    const again = database.transaction((trx) => trx("things").insert({ id: 2, size: 2, color: 3 }));
    await expect(again).rejects.toMatchObject({ keyName: "things_size_uq" });
  });

  test("a database of another version is rejected by name, and not changed", async () => {
    file("0001_create_things", CREATE_THINGS);
    file("0002_add_color", ADD_COLOR);
    await migrate(database, folder);
    const before = await migrationStatus(database, folder);
    rmSync(join(path, "0002_add_color.ts"));
    const missing = { name: "UnknownMigration", migration: "0002_add_color" };
    await expect(migrate(database, folder)).rejects.toMatchObject(missing);
    await expect(migrationStatus(database, folder)).rejects.toMatchObject(missing);

    rmSync(join(path, "0001_create_things.ts"));
    file("0001_initial_schema", CREATE_THINGS.replaceAll("things", "others"));
    const renamed = { name: "UnknownMigration", migration: "0001_create_things" };
    await expect(migrate(database, folder)).rejects.toMatchObject(renamed);
    await expect(migrationStatus(database, folder)).rejects.toMatchObject(renamed);

    rmSync(join(path, "0001_initial_schema.ts"));
    file("0001_create_things", CREATE_THINGS);
    file("0002_add_color", ADD_COLOR);
    expect(await migrationStatus(database, folder)).toEqual(before);
    await expect(database.reader("others").select()).rejects.toThrow();
  });

  test("a database whose recorded migrations had other content is rejected", async () => {
    file("0001_create_things", CREATE_THINGS);
    await requireMigratedSchema(database, folder);
    await migrate(database, folder);
    await requireMigratedSchema(database, folder);
    const differences = {
      "DROP TABLE things": "lacks the table things",
      "ALTER TABLE things DROP COLUMN size": "lacks the column things.size",
      "ALTER TABLE things ADD COLUMN color BIGINT": "has the unknown column things.color",
    };
    for (const [statement, difference] of Object.entries(differences)) {
      await database.transaction(async (trx) => {
        await trx.schema.dropTableIfExists("things");
        await trx.raw("CREATE TABLE things (id BIGINT PRIMARY KEY, size BIGINT)");
        await trx.raw(statement);
      });
      await expect(requireMigratedSchema(database, folder), statement).rejects.toMatchObject({
        name: "DifferentSchema",
        difference,
      });
    }
  });

  test("a lower number may come later", async () => {
    file("0001_create_things", CREATE_THINGS);
    file("0003_empty", "");
    expect(await migrate(database, folder)).toEqual([1, 3]);
    file("0002_add_color", ADD_COLOR);
    expect(await migrate(database, folder)).toEqual([2]);
  });

  test("a folder with one number twice is rejected", async () => {
    file("0001_create_things", CREATE_THINGS);
    file("0001_other_things", CREATE_THINGS);
    await expect(migrate(database, folder)).rejects.toThrow(/the number of 0001_other_things/);
  });

  test("a folder without migrations is rejected", async () => {
    await expect(migrate(database, folder)).rejects.toThrow(/no migrations/);
  });

  function file(name: string, body: string): void {
    const text = `import { integer, withDefault } from ${SCHEMA};\nexport async function up(schema) { ${body} }\n`;
    writeFileSync(join(path, `${name}.ts`), text);
  }

  async function childScript(): Promise<string> {
    const index = JSON.stringify(new URL("../index.ts", import.meta.url).href);
    return `
      import { migrate, openMysql, openSqlite } from ${index};
      const database = await ${engine === "mysql" ? "openMysql" : "openSqlite"}(${JSON.stringify(place.location)});
      await migrate(database, new URL(${JSON.stringify(folder.href)}));
    `;
  }
});

const CREATE_THINGS = `
  await schema.createTable("things", {
    columns: { id: integer(), size: integer() },
    primaryKey: ["id"],
    indexes: { things_size: ["size"] },
  });
`;
const ADD_COLOR = 'await schema.addColumn("things", "color", withDefault(integer(), 5));';
