// Collects the execution plans of statements, and checks that no statement scans or sorts a table.
import type { Database, Queryable, Transaction } from "@muster/db";
import { expect } from "vitest";

/** A row of EXPLAIN in MariaDB and MySQL. */
export interface Plan {
  /** Null for a lookup by a complete key, because the server executes such a lookup while it plans. */
  readonly table: string | null;
  readonly type: string;
  readonly key: string | null;
  readonly Extra: string | null;
}

interface Statement {
  readonly sql: string;
  readonly bindings: readonly unknown[];
}

class RolledBack extends Error {}

/** The plans of every statement that `run` sends over the reader. */
export async function plansOf(database: Database, run: (db: Queryable) => Promise<unknown>): Promise<Plan[]> {
  const statements = await statementsOf(database.reader, run);
  return explain(database.reader, statements);
}

/** The plans of every statement except inserts that `run` sends. The changes of `run` are rolled back. */
export async function plansOfChanges(
  database: Database,
  run: (trx: Transaction) => Promise<unknown>,
): Promise<Plan[]> {
  const statements = await rolledBack(database, (trx) => statementsOf(trx, run));
  const explained = statements.filter(({ sql }) => !/^insert/i.test(sql));
  return rolledBack(database, (trx) => explain(trx, explained));
}

async function rolledBack<T>(database: Database, body: (trx: Transaction) => Promise<T>): Promise<T> {
  let result: { readonly value: T } | undefined;
  const ended = database.transaction(async (trx) => {
    result = { value: await body(trx) };
    throw new RolledBack();
  });
  await expect(ended).rejects.toBeInstanceOf(RolledBack);
  if (result === undefined) throw new Error("the transaction did not run");
  return result.value;
}

async function statementsOf<Db extends Queryable>(
  db: Db,
  run: (db: Db) => Promise<unknown>,
): Promise<Statement[]> {
  const statements: Statement[] = [];
  const record = (statement: Statement): void => void statements.push(statement);
  db.on("query", record);
  try {
    await run(db);
  } finally {
    db.removeListener("query", record);
  }
  return statements;
}

async function explain(db: Queryable, statements: readonly Statement[]): Promise<Plan[]> {
  const plans: Plan[] = [];
  for (const { sql, bindings } of statements) {
    const [rows] = (await db.raw(`EXPLAIN ${sql}`, bindings as Buffer[])) as unknown as [Plan[]];
    plans.push(...rows);
  }
  return plans;
}

/** Whether the plan reads a result in memory, whose size the source bounds. */
export function isDerived(table: string | null): boolean {
  return table?.startsWith("<") ?? false;
}

/** Fails if a table is scanned as a whole or, unless `maySort`, sorted. Derived tables are ignored. */
export function expectIndexed(plans: readonly Plan[], name: string, { maySort = false } = {}): void {
  for (const { table, type, Extra } of plans) {
    if (table === null || isDerived(table)) continue;
    expect(type, `${name}: ${table}`).not.toBe("ALL");
    if (!maySort) expect(Extra ?? "", `${name}: ${table}`).not.toMatch(/filesort|temporary/);
  }
}

/** Whether the server is MariaDB. MySQL and TiDB choose and word plans differently. */
export async function isMariaDb({ reader }: Database): Promise<boolean> {
  const [[row]] = (await reader.raw("SELECT VERSION() AS version")) as unknown as [[{ version: string }]];
  return row.version.includes("MariaDB");
}
