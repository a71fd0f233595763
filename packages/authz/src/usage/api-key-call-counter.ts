// Counts the calls of API keys by UTC date, in bounded memory, until the counts are taken.
import type { ApiKeyCalls } from "./api-key-usage.ts";

const DAY_MS = 86_400_000;

export class ApiKeyCallCounter {
  readonly #entriesMax: number;
  readonly #days = new Map<number, Map<string, number>>();
  #entries = 0;
  #uncounted = 0;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  /** Where the memory is full, a call of another key or date is left out. */
  count(apiKeyId: string, nowMs: number): void {
    const day = Math.floor(nowMs / DAY_MS);
    const keys = this.#days.get(day);
    const calls = keys?.get(apiKeyId);
    if (calls === undefined && this.#entries >= this.#entriesMax) {
      this.#uncounted += 1;
      return;
    }
    if (calls === undefined) this.#entries += 1;
    if (keys === undefined) this.#days.set(day, new Map([[apiKeyId, 1]]));
    else keys.set(apiKeyId, (calls ?? 0) + 1);
  }

  /** Removes at most `limit` counts and returns them. */
  take(limit: number): ApiKeyCalls[] {
    const taken: ApiKeyCalls[] = [];
    for (const [day, keys] of this.#days) {
      for (const [apiKeyId, calls] of keys) {
        if (taken.length === limit) return taken;
        taken.push({ apiKeyId, day, calls });
        keys.delete(apiKeyId);
        this.#entries -= 1;
      }
      this.#days.delete(day);
    }
    return taken;
  }

  /** The number of calls that were left out since the last call. */
  takeUncounted(): number {
    const uncounted = this.#uncounted;
    this.#uncounted = 0;
    return uncounted;
  }
}
