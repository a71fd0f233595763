// Applies the identity claims of a submission in the transaction that stores its events, before the insert.
import { assert } from "@muster/core";
import type { AppError } from "@muster/errors";
import type { OutboxDraft } from "@muster/outbox";
import type { CallContext } from "@muster/rpc";
import { applyIdentityClaims } from "../identity-claims/apply-identity-claims.ts";
import type { IdentityClaim, SkippedLink } from "../identity-claims/identity-claim.ts";
import { changeOriginOf } from "../identity-graph/change-origin.ts";
import type { BeforeInsert, EventOutcome } from "../ingest/submission.ts";
import type { TrackingDeps } from "./tracking-deps.ts";

/** Reasons for which an identity claim is rejected permanently. Other failures are temporary. */
export const rejectionReasons: ReadonlySet<string> = new Set(["MERGE_LIMIT_REACHED", "FIELD_INVALID"]);

/** Response metadata of Identify and Alias. */
const LINK_SKIPPED_METADATA = "muster-link-skipped";

/** One claim per event of a submission, in order. */
export class ClaimsOfSubmission {
  readonly #deps: TrackingDeps;
  readonly #context: CallContext;
  readonly #claims: readonly IdentityClaim[];
  readonly #skipped = new Map<number, SkippedLink>();

  constructor(deps: TrackingDeps, context: CallContext, claims: readonly IdentityClaim[]) {
    this.#deps = deps;
    this.#context = context;
    this.#claims = claims;
  }

  /** Applies the claims of new events; claims of duplicate events are skipped. */
  readonly beforeInsert: BeforeInsert = async (trx, outcomes) => {
    assert(outcomes.length === this.#claims.length, "every event of the submission has one identity claim");
    this.#skipped.clear();
    const drafts: OutboxDraft[] = [];
    const rejected = new Map<number, AppError>();
    const indexes = [...this.#claims.keys()].filter((index) => outcomes[index]?.status === "stored");
    const claims = indexes.flatMap((index) => this.#claims[index] ?? []);
    const applied = await applyIdentityClaims(this.#deps, trx, changeOriginOf(this.#context), claims);
    for (const [position, claim] of applied.entries()) {
      const index = indexes[position] ?? 0;
      drafts.push(...claim.drafts);
      if (claim.skipped !== undefined) this.#skipped.set(index, claim.skipped);
      if (claim.rejected === undefined) continue;
      // A repeated call of the submission takes the place of the rejected call, so each needs its own commit.
      if (indexes.length !== outcomes.length) throw claim.rejected;
      rejected.set(index, claim.rejected);
    }
    this.#announceSkipped();
    return { drafts, rejected };
  };

  /** Returns to the caller of a single call why the ids were not linked; a batch has only the metric. */
  #announceSkipped(): void {
    const { responseHeaders } = this.#context;
    const [reason] = this.#skipped.values();
    if (reason === undefined || this.#claims.length > 1) responseHeaders.delete(LINK_SKIPPED_METADATA);
    else responseHeaders.set(LINK_SKIPPED_METADATA, reason);
  }

  /** Returns why claims of the stored events linked nothing. */
  skippedOf(outcomes: readonly EventOutcome[]): SkippedLink[] {
    return [...this.#skipped].flatMap(([index, reason]) =>
      outcomes[index]?.status === "stored" ? [reason] : [],
    );
  }
}
