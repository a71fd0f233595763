// Simulates a process that crashes around its commits.
import type { Database, Transaction } from "@muster/db";

class Conflict extends Error {}

/**
 * Fails chosen transactions before the commit, or after it with the result lost. "conflict" rolls the
 * transaction back before the commit and runs the body again, as the database does after a conflict.
 */
export class CrashingDatabase {
  crashes: ("before" | "after" | "conflict" | "no")[] = [];

  wrap = (database: Database): Database => ({
    engine: database.engine,
    reader: database.reader,
    snapshot: (body) => database.snapshot(body),
    nowMs: () => database.nowMs(),
    removeDeletedData: () => database.removeDeletedData(),
    ping: () => database.ping(),
    close: () => database.close(),
    transaction: async (body, options) => {
      const crash = this.crashes.shift();
      if (crash === "conflict") await rolledBack(database, body);
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

async function rolledBack(database: Database, body: (trx: Transaction) => Promise<unknown>): Promise<void> {
  const run = database.transaction(async (trx) => {
    await body(trx);
    throw new Conflict();
  });
  await run.catch((error: unknown) => {
    if (!(error instanceof Conflict)) throw error;
  });
}
