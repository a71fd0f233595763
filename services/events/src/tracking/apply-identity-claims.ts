// Applies the identity claims of tracking calls in the transaction that stores the events of the calls.
import type { OutboxDraft } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { changeOriginOf } from "../identity-graph/change-origin.ts";
import { aliasProfile, identifyProfile } from "../identity-graph/identify-profile.ts";
import type { IdentityClaim } from "../identity-graph/identity-claim.ts";
import type { BeforeInsert } from "../ingest/submission.ts";

/** Reasons for which an identity claim is rejected permanently. Other failures are temporary. */
export const rejectionReasons: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

/** Applies one claim per event of a submission, in order. Claims of duplicate events are skipped. */
export function applyIdentityClaims(
  deps: EventsDeps,
  context: CallContext,
  claims: readonly IdentityClaim[],
): BeforeInsert {
  const origin = changeOriginOf(context);
  return async (trx, outcomes) => {
    const drafts: OutboxDraft[] = [];
    for (const [index, claim] of claims.entries()) {
      if (outcomes[index]?.status !== "stored") continue;
      const change =
        claim.kind === "identify"
          ? await identifyProfile(deps, trx, origin, claim)
          : await aliasProfile(deps, trx, origin, claim);
      drafts.push(...change.drafts);
    }
    return drafts;
  };
}
