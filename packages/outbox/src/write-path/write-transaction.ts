// Runs a write as one transaction: the effect, the saved response and the domain events commit together. Work
// that must follow the commit runs afterwards.
import type { Message } from "@bufbuild/protobuf";
import { PlainError, type ProfileId } from "@muster/core";
import { type Database, isUniqueViolation, type Transaction } from "@muster/db";
import type { AppError } from "@muster/errors";
import type { Logger } from "@muster/log";
import type { OutboxDraft, OutboxPort } from "../ports/ports.ts";
import { type DomainEvent, draftOf } from "./domain-event.ts";

export interface WriteDeps {
  readonly database: Pick<Database, "transaction">;
  readonly outbox: Pick<OutboxPort, "append" | "committed">;
  readonly log: Logger;
}

/** The part of a call's context that a write uses. */
export interface WriteContext {
  /** W3C traceparent, or empty. */
  readonly traceParent: string;
  saveResponse(
    trx: Transaction,
    response: Message,
    options?: { readonly subjects?: readonly ProfileId[] },
  ): Promise<void>;
}

/** The context of work that no call waits for, so there is no response to save. */
export const WITHOUT_CALL: WriteContext = { traceParent: "", saveResponse: async () => {} };

/** Collects the domain events and the later work of a transaction. Each run of a body gets a new, empty `Write`. */
export interface Write {
  /** Publishes a domain event with the commit. */
  publish(event: DomainEvent): void;
  /**
   * Runs the work once after the commit, before the call returns. Best effort: a crash loses the work, and a failure
   * is logged without failing the call, because the effect is committed.
   */
  afterCommit(work: AfterCommit): void;
}

export type AfterCommit = () => void | Promise<void>;

/**
 * Thrown by a body: the call fails with `error`, and the transaction commits with everything that the body has
 * written. For refusals that count, such as a wrong code. No response is saved.
 */
export class Refusal extends PlainError {
  override name = "Refusal";
  readonly error: AppError;

  constructor(error: AppError) {
    super(`refused with ${error.reason}`);
    this.error = error;
  }
}

/** Most runs of a body whose insert met the same row of another transaction. The next run reads this row. */
const UNIQUE_RUNS_MAX = 3;

/**
 * Runs `body` in a transaction and resolves to the response of the body. `body` runs again after a conflict, so
 * the body does no other I/O and changes no variable outside.
 */
export async function writeTransaction<R extends Message>(
  deps: WriteDeps,
  context: WriteContext,
  body: (trx: Transaction, write: Write) => Promise<R>,
): Promise<R> {
  const { response, drafts, works } = await untilUnique(() => commit(deps, context, body));
  if (drafts.length > 0) deps.outbox.committed();
  await Promise.all(works.map((work) => runAfterCommit(deps.log, work)));
  if (response instanceof Refusal) throw response.error;
  return response;
}

interface Committed<R> {
  readonly response: R | Refusal;
  readonly drafts: readonly OutboxDraft[];
  readonly works: readonly AfterCommit[];
}

function commit<R extends Message>(
  { database, outbox }: WriteDeps,
  context: WriteContext,
  body: (trx: Transaction, write: Write) => Promise<R>,
): Promise<Committed<R>> {
  return database.transaction(async (trx) => {
    const drafts: OutboxDraft[] = [];
    const works: AfterCommit[] = [];
    const response = await refusalOr(
      body(trx, {
        publish: (event) => void drafts.push(draftOf(event, context.traceParent)),
        afterCommit: (work) => void works.push(work),
      }),
    );
    if (!(response instanceof Refusal)) await context.saveResponse(trx, response);
    // The last statements, because they lock the positions of the shards.
    await outbox.append(trx, drafts);
    return { response, drafts, works };
  });
}

function refusalOr<R>(response: Promise<R>): Promise<R | Refusal> {
  return response.catch((error: unknown) => {
    if (error instanceof Refusal) return error;
    throw error;
  });
}

async function untilUnique<T>(run: () => Promise<T>): Promise<T> {
  for (let runs = 1; ; runs += 1) {
    try {
      return await run();
    } catch (error) {
      if (runs >= UNIQUE_RUNS_MAX || !isUniqueViolation(error)) throw error;
    }
  }
}

async function runAfterCommit(log: Logger, work: AfterCommit): Promise<void> {
  try {
    await work();
  } catch (error) {
    log.error({ err: error }, "work after a commit failed");
  }
}
