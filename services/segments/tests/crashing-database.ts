// Simulates a process that crashes around its commits.
import type { Database } from "@muster/db";

/** Fails chosen transactions before the commit, or after it with the result lost. */
export class CrashingDatabase {
  crashes: ("before" | "after" | "no")[] = [];

  wrap = (database: Database): Database => ({
    engine: database.engine,
    reader: database.reader,
    snapshot: (body) => database.snapshot(body),
    removeDeletedData: () => database.removeDeletedData(),
    ping: () => database.ping(),
    close: () => database.close(),
    transaction: async (body, options) => {
      const crash = this.crashes.shift();
      const result = await database.transaction(async (trx) => {
        const made = await body(trx);
        if (crash === "before") throw new Error("crashed before the commit");
        return made;
      }, options);
      if (crash === "after") throw new Error("crashed after the commit");
      return result;
    },
  });
}
