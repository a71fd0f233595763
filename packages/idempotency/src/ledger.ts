// The port of the Idempotency-Key ledger defines claims, saved responses and replays.
import type { Transaction } from "@muster/db";
import { AppError } from "@muster/errors";

/** A claim on (scope, key), committed with a 30 s lease before the handler runs. */
export interface Claim {
  readonly scope: string;
  /** A keyed digest of the caller's key, because the key may contain personal data. */
  readonly key: string;
  /** Distinguishes this claim from a later claim on the same key. */
  readonly token: string;
}

export interface KeptResponse {
  /** Whether `body` is the response message; otherwise it is a google.rpc.Status. */
  readonly ok: boolean;
  readonly body: Uint8Array;
  /** Response metadata that REST shows. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A response with the profiles that it is about (UUIDs as text), by which an erasure finds it. */
export interface NewResponse extends KeptResponse {
  readonly subjects?: readonly string[];
}

export type BeginResult =
  | { readonly kind: "run"; readonly claim: Claim }
  | { readonly kind: "replay"; readonly response: KeptResponse };

export interface IdempotencyLedgerPort {
  /** Returns a keyed digest, for the part of a scope that is personal data or a secret. */
  digest(text: string): string;
  /**
   * Claims a key for `lifetimeMs`, or returns the kept response. Throws IDEMPOTENCY_KEY_REUSED for another body, and
   * IDEMPOTENCY_IN_PROGRESS while a request with the key runs.
   */
  begin(scope: string, key: string, canonicalBody: Uint8Array, lifetimeMs?: number): Promise<BeginResult>;
  /** Saves the response in the transaction of the effect. Rejects with StaleClaim if the claim was lost. */
  saveResponse(trx: Transaction, claim: Claim, response: NewResponse): Promise<void>;
  /**
   * Saves a response in a transaction of its own, for responses without an effect. Rejects with StaleClaim if
   * the claim was lost.
   */
  keep(claim: Claim, response: NewResponse): Promise<void>;
  /** Releases the key after a failure that is worth a retry. Harmless when a response was saved. */
  release(claim: Claim): Promise<void>;
}

/**
 * The claim's lease expired and another request took the key over, so this request must not have an effect. A
 * retry of the caller receives the response of the other request.
 */
export class StaleClaim extends AppError {
  override name = "StaleClaim";

  constructor() {
    super("IDEMPOTENCY_IN_PROGRESS", { retryAfterMs: 1_000 });
  }
}
