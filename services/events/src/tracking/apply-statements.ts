// Applies the identity claims of tracking calls in the transaction that stores the events of the calls.
import type { OutboxDraft } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { Prepare } from "../ingest/submission.ts";
import { askedBy } from "../people/asked.ts";
import { aliasPerson, identifyPerson } from "../people/identify-person.ts";
import type { Statement } from "./statement.ts";

/** Reasons for which an identity claim is rejected permanently. Other failures are temporary. */
export const refusals: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

/** Applies one claim per event of a submission, in order. Claims of duplicate events are skipped. */
export function applyStatements(
  deps: EventsDeps,
  context: CallContext,
  statements: readonly Statement[],
): Prepare {
  const asked = askedBy(context);
  return async (trx, outcomes) => {
    const drafts: OutboxDraft[] = [];
    for (const [index, statement] of statements.entries()) {
      if (outcomes[index]?.status !== "stored") continue;
      const change =
        statement.kind === "identify"
          ? await identifyPerson(deps, trx, asked, statement)
          : await aliasPerson(deps, trx, asked, statement);
      drafts.push(...change.drafts);
    }
    return drafts;
  };
}
