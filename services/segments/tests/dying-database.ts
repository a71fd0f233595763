// What a process leaves that dies around its commits.
import type { Database } from "@muster/db";

/** Some commits never happen, some happen unheard of. */
export class DyingDatabase {
  deaths: ("before" | "after" | "no")[] = [];

  wrap = (database: Database): Database => ({
    ...{ engine: database.engine, reader: database.reader },
    snapshot: (body) => database.snapshot(body),
    ping: () => database.ping(),
    close: () => database.close(),
    transaction: async (body) => {
      const death = this.deaths.shift();
      const result = await database.transaction(async (trx) => {
        const made = await body(trx);
        if (death === "before") throw new Error("died before the commit");
        return made;
      });
      if (death === "after") throw new Error("died after the commit");
      return result;
    },
  });
}
