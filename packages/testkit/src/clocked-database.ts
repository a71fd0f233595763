// Wraps a database so that the clock of the database is a clock of the test.
import type { Clock } from "@muster/core";
import type { Database } from "@muster/db";

export function withClock(database: Database, clock: Clock): Database {
  return {
    engine: database.engine,
    reader: database.reader,
    transaction: (body, options) => database.transaction(body, options),
    snapshot: (body) => database.snapshot(body),
    nowMs: async () => clock.nowMs(),
    removeDeletedData: () => database.removeDeletedData(),
    ping: () => database.ping(),
    close: () => database.close(),
  };
}
