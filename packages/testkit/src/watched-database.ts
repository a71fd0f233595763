// Records every statement of a database, and simulates a process that dies before a chosen statement.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Database, Transaction } from "@muster/db";

type Run = (connection: unknown, statement: unknown, ...more: unknown[]) => unknown;
type Client = Record<string, Run | undefined>;

/** Methods through which packages/db runs statements: of knex, and of the bulk paths of each engine. */
const METHODS = ["query", "execute", "executeText", "executeEach", "selectPrepared"] as const;

/** The statements of a single call, without those of workers. */
export interface WatchedCall<T> {
  readonly outcome: PromiseSettledResult<T>;
  readonly statements: readonly string[];
  readonly isDead: boolean;
}

interface Recording {
  readonly statements: string[];
  readonly deathAt: number;
  isDead: boolean;
}

export class WatchedDatabase {
  /** The texts of the statements since the last `reset`, in order. */
  statements: string[] = [];
  #deathAt = Number.POSITIVE_INFINITY;
  #isDead = false;
  readonly #calls = new AsyncLocalStorage<Recording>();

  /** Removes the recorded statements. With `dieBefore`, the process dies before this statement, counted from 0. */
  reset({ dieBefore = Number.POSITIVE_INFINITY }: { readonly dieBefore?: number } = {}): void {
    this.statements = [];
    this.#deathAt = dieBefore;
    this.#isDead = false;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Runs a call and records its statements apart. With `dieBefore`, the process dies before this statement. */
  async during<T>(call: () => Promise<T>, dieBefore = Number.POSITIVE_INFINITY): Promise<WatchedCall<T>> {
    const recording: Recording = { statements: [], deathAt: dieBefore, isDead: false };
    const [outcome] = await Promise.allSettled([this.#calls.run(recording, call)]);
    return { outcome, statements: recording.statements, isDead: recording.isDead };
  }

  wrap = (database: Database): Database => {
    this.#watch(database.reader.client as Client);
    const watched = (body: (trx: Transaction) => Promise<unknown>) => (trx: Transaction) => {
      this.#watch(trx.client as unknown as Client);
      return body(trx);
    };
    return {
      engine: database.engine,
      reader: database.reader,
      transaction: <T>(body: (trx: Transaction) => Promise<T>, options?: object) =>
        database.transaction(watched(body), options) as Promise<T>,
      snapshot: <T>(body: (trx: Transaction) => Promise<T>) => database.snapshot(watched(body)) as Promise<T>,
      nowMs: () => database.nowMs(),
      removeDeletedData: () => database.removeDeletedData(),
      ping: () => database.ping(),
      close: () => database.close(),
    };
  };

  #watch(client: Client): void {
    for (const method of METHODS) {
      const run = client[method];
      if (run === undefined) continue;
      client[method] = (connection, statement, ...more) => {
        this.#record(textOf(statement));
        return run.call(client, connection, statement, ...more);
      };
    }
  }

  /** The server rolls back the transaction of a process that died, so a ROLLBACK is no statement of the process. */
  #record(sql: string): void {
    if (/^ROLLBACK/i.test(sql)) return;
    const recording = this.#calls.getStore();
    if (recording !== undefined) {
      recordIn(recording, sql);
      return;
    }
    if (this.#isDead || this.statements.length >= this.#deathAt) {
      this.#isDead = true;
      throw new Error(`the process died before: ${sql}`);
    }
    this.statements.push(sql);
  }
}

function recordIn(recording: Recording, sql: string): void {
  recording.isDead ||= recording.statements.length >= recording.deathAt;
  if (recording.isDead) throw new Error(`the process died before: ${sql}`);
  recording.statements.push(sql);
}

function textOf(statement: unknown): string {
  if (typeof statement === "string") return statement;
  return String((statement as { readonly sql?: unknown }).sql);
}
