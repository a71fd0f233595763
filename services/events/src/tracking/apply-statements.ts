// Makes true what calls say of people, in the transaction that stores their events.
import type { OutboxDraft } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { Prepare } from "../ingest/submission.ts";
import { askedBy } from "../people/asked.ts";
import { aliasPerson, identifyPerson } from "../people/identify-person.ts";
import type { Statement } from "./statement.ts";

/** Why a statement is refused for good: every other failure may pass. */
export const refusals: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

/** One statement for each event of a submission, one after the other; those of repeated events say nothing more. */
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
