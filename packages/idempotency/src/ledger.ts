// The Idempotency-Key ledger's port: claims, answers, replays.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";

/** A claim on (scope, key), committed with a 30 s lease before the handler runs. */
export interface Claim {
  readonly scope: string;
  /** A keyed digest: what a caller writes there may be a person's name. */
  readonly key: string;
  /** Tells this claim from a later one on the same key. */
  readonly token: string;
}

export interface KeptAnswer {
  /** Whether `body` is the response message, else a google.rpc.Status. */
  readonly ok: boolean;
  readonly body: Uint8Array;
  /** Metadata of the answer that REST shows. */
  readonly headers: Readonly<Record<string, string>>;
}

/** An answer with the profiles that it is about, UUIDs as text, by which an erasure finds it. */
export interface NewAnswer extends KeptAnswer {
  readonly subjects?: readonly string[];
}

export type Begun =
  | { readonly kind: "run"; readonly claim: Claim }
  | { readonly kind: "replay"; readonly answer: KeptAnswer };

export interface IdempotencyLedgerPort {
  /** IDEMPOTENCY_KEY_REUSED for another body, IDEMPOTENCY_IN_PROGRESS while one runs. */
  begin(scope: string, key: string, canonicalBody: Uint8Array): Promise<Begun>;
  /** Keeps the answer in the transaction of the effect. Rejects with StaleClaim if the claim was lost. */
  settle(trx: Transaction, claim: Claim, answer: NewAnswer): Promise<void>;
  /**
   * Keeps the answer in a transaction of its own: for answers without an effect. Rejects with
   * StaleClaim if the claim was lost.
   */
  keep(claim: Claim, answer: NewAnswer): Promise<void>;
  /** Frees the key: the call failed in a way worth trying again. Harmless when the answer was kept. */
  release(claim: Claim): Promise<void>;
}

/**
 * The claim's lease ran out and another request took the key over, so this one must leave no trace.
 * The caller is told to ask again: it then gets the other request's answer.
 */
export class StaleClaim extends AppError {
  override name = "StaleClaim";

  constructor() {
    super("IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: 1_000 });
  }
}
