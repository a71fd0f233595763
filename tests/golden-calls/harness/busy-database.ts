// Counts the statements and transactions under way, so that a test can wait until the modules are idle.
import type { Database } from "@muster/db";

export class Activity {
  /** Statements and transactions that have begun and not ended. */
  running = 0;
  /** Statements and transactions that have begun, ever. */
  started = 0;

  begin(): void {
    this.running += 1;
    this.started += 1;
  }

  end(): void {
    this.running -= 1;
  }
}

/** The same database, with statements and transactions counted in `activity`. */
export function busyDatabase(database: Database, activity: Activity): Database {
  const { reader } = database;
  reader.on("query", () => activity.begin());
  reader.on("query-response", () => activity.end());
  reader.on("query-error", () => activity.end());
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    activity.begin();
    try {
      return await work();
    } finally {
      activity.end();
    }
  };
  return {
    engine: database.engine,
    reader,
    transaction: (body, options) => counted(() => database.transaction(body, options)),
    snapshot: (body) => counted(() => database.snapshot(body)),
    nowMs: () => database.nowMs(),
    removeDeletedData: () => database.removeDeletedData(),
    ping: () => database.ping(),
    close: () => database.close(),
  };
}
