// Applies the identity claims of a submission in the transaction that stores its events, before the insert.
import { assert } from "@muster/core";
import type { OutboxDraft } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../handlers/deps.ts";
import { applyIdentityClaim } from "../identity-graph/apply-identity-claim.ts";
import { changeOriginOf } from "../identity-graph/change-origin.ts";
import type { IdentityClaim } from "../identity-graph/identity-claim.ts";
import type { BeforeInsert } from "../ingest/submission.ts";

/** Reasons for which an identity claim is rejected permanently. Other failures are temporary. */
export const rejectionReasons: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

/** Applies one claim per event of a submission, in order. Claims of duplicate events are skipped. */
export function claimsBeforeInsert(
  deps: EventsDeps,
  context: CallContext,
  claims: readonly IdentityClaim[],
): BeforeInsert {
  const origin = changeOriginOf(context);
  return async (trx, outcomes) => {
    assert(outcomes.length === claims.length, "every event of the submission has exactly one identity claim");
    const drafts: OutboxDraft[] = [];
    for (const [index, claim] of claims.entries()) {
      if (outcomes[index]?.status !== "stored") continue;
      const change = await applyIdentityClaim(deps, trx, origin, claim);
      drafts.push(...change.drafts);
    }
    return drafts;
  };
}
