// Takes erased people out of kept answers. The key stays used: a retry is told that its effect was erased,
// instead of bringing it back.
import type { Transaction } from "@muster/db";
import { AnswerSeal } from "./answer-seal.ts";
import { IdempotencyStore } from "./idempotency-store.ts";
import type { KeptAnswer } from "./ledger.ts";
import { claimsAbout, removeSubjects } from "./subject-store.ts";

/**
 * What is kept instead of an answer, undefined where it may stay; `method` as in
 * "muster.events.v1.EventService/RecordEvent".
 */
export type AnswerRewrite = (method: string, answer: KeptAnswer) => KeptAnswer | undefined;

export class AnswerEraser {
  readonly #seal: AnswerSeal;
  readonly #store = new IdempotencyStore();

  /** `key` is the one that the service's ledger has. */
  constructor(key: Uint8Array) {
    this.#seal = new AnswerSeal(key);
  }

  /**
   * Rewrites up to `limit` answers about any of these profiles, at most 500; `found` is 0 at the end. One that
   * is about several of them is rewritten once.
   */
  async erase(
    trx: Transaction,
    subjects: readonly string[],
    limit: number,
    rewrite: AnswerRewrite,
  ): Promise<{ readonly found: number; readonly rewritten: number }> {
    const claims = await claimsAbout(trx, subjects, limit);
    let rewritten = 0;
    for (const claim of claims) {
      const sealed = await this.#store.lockAnswer(trx, claim);
      // Without one the key has been used anew since its day was over.
      const answer = sealed && rewrite(methodOf(claim.scope), this.#seal.open(claim, sealed));
      if (answer !== undefined) {
        await this.#store.replaceAnswer(trx, claim, this.#seal.seal(claim, answer));
        rewritten += 1;
      }
      await removeSubjects(trx, subjects, claim);
    }
    return { found: claims.length, rewritten };
  }
}

/** A scope is the caller and the method, or the method alone. */
function methodOf(scope: string): string {
  return scope.split("/").slice(-2).join("/");
}
