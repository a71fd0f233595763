import { expect, test } from "vitest";
import { ENGINES, openTestDatabase } from "./test-database.ts";

test.each(ENGINES)(
  "a test database on %s is empty, shared by its pools, and gone after close",
  async (engine) => {
    const { database, openAnother, close } = await openTestDatabase(engine);
    await database.transaction(async (trx) => {
      await trx.raw("CREATE TABLE things (id INTEGER PRIMARY KEY)");
      await trx("things").insert({ id: 1 });
    });
    const another = await openAnother();
    expect(await another.reader("things").select("id")).toEqual([{ id: 1 }]);
    await close();
    await expect(database.ping()).rejects.toThrow();
  },
);
