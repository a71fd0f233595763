// Makes true what a call says of a person, in the transaction that stores its event.
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { Prepare } from "../ingest/submission.ts";
import { askedBy } from "../people/asked.ts";
import { aliasPerson, identifyPerson } from "../people/identify-person.ts";
import type { Statement } from "./statement.ts";

/** Why a statement is refused for good: every other failure may pass. */
export const refusals: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

export function applyStatement(deps: EventsDeps, context: CallContext, statement: Statement): Prepare {
  const asked = askedBy(context);
  return async (trx) => {
    const { drafts } =
      statement.kind === "identify"
        ? await identifyPerson(deps, trx, asked, statement)
        : await aliasPerson(deps, trx, asked, statement);
    return drafts;
  };
}
