// Makes true what a call says of a person, in the transaction that stores its event.
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import type { Prepare } from "../ingest/submission.ts";
import type { Statement } from "./statement.ts";

/** Why a statement may be refused for good, whatever else happens. */
export const refusals: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

export function applyStatement(_deps: EventsDeps, _context: CallContext, _statement: Statement): Prepare {
  return async () => {
    throw new AppError("UNIMPLEMENTED");
  };
}
