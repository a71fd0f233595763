// Removes erased people from kept responses. The key stays used: a retry receives the error EVENT_ERASED
// instead of repeating the effect.
import type { Transaction } from "@muster/db";
import { IdempotencyStore } from "./idempotency-store.ts";
import type { KeptResponse } from "./ledger.ts";
import { ResponseSeal } from "./response-seal.ts";
import { claimsAbout, removeSubjects } from "./subject-store.ts";

/**
 * Returns the response to keep instead; undefined where the response may stay. `method` has the form
 * "muster.events.v1.EventService/RecordEvent".
 */
export type ResponseRewrite = (method: string, response: KeptResponse) => KeptResponse | undefined;

export class ResponseEraser {
  readonly #seal: ResponseSeal;
  readonly #store = new IdempotencyStore();

  /** `key` is the same key as the one of the service's ledger. */
  constructor(key: Uint8Array) {
    this.#seal = new ResponseSeal(key);
  }

  /**
   * Rewrites up to `limit` responses about any of these profiles (at most 500). `found` is 0 at the end. A
   * response about several of the profiles is rewritten once.
   */
  async erase(
    trx: Transaction,
    subjects: readonly string[],
    limit: number,
    rewrite: ResponseRewrite,
  ): Promise<{ readonly found: number; readonly rewritten: number }> {
    const claims = await claimsAbout(trx, subjects, limit);
    let rewritten = 0;
    for (const claim of claims) {
      const sealed = await this.#store.lockResponse(trx, claim);
      // Without a response the key was used again after its lifetime.
      const response = sealed && rewrite(methodOf(claim.scope), this.#seal.open(claim, sealed));
      if (response !== undefined) {
        await this.#store.replaceResponse(trx, claim, this.#seal.seal(claim, response));
        rewritten += 1;
      }
      await removeSubjects(trx, subjects, claim);
    }
    return { found: claims.length, rewritten };
  }
}

/**
 * Deletes up to `limit` keys of one caller, with the kept responses. `scope` is the beginning of the caller's scopes
 * up to a slash. Only for a caller that calls no more, because a deleted key runs again. Resolves to the number.
 */
export function removeKeysOf(trx: Transaction, scope: string, limit: number): Promise<number> {
  return new IdempotencyStore().removeBelow(trx, scope, limit);
}

/** Returns the method of a scope: a scope is the caller and the method, or the method alone. */
function methodOf(scope: string): string {
  return scope.split("/").slice(-2).join("/");
}
