// Counts the bytes that requests or responses hold in memory, in total and for each organization.
import { AppError } from "@muster/errors";

export interface ByteLimits {
  /** All owners together. */
  readonly bytesMax: number;
  /** One owner. */
  readonly shareBytesMax: number;
}

const RETRY_AFTER_MS = 1_000;

export class ByteBudget {
  readonly #limits: ByteLimits;
  readonly #byOwner = new Map<string, number>();
  #bytes = 0;

  constructor(limits: ByteLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  hasRoom(owner: string, bytes: number): boolean {
    const { bytesMax, shareBytesMax } = this.#limits;
    return this.#bytes + bytes <= bytesMax && (this.#byOwner.get(owner) ?? 0) + bytes <= shareBytesMax;
  }

  /** Throws OVERLOADED where the bytes exceed the total or the owner's share. */
  reserve(owner: string, bytes: number): void {
    if (!this.hasRoom(owner, bytes)) throw overloaded();
    this.add(owner, bytes);
  }

  /** Counts bytes that are in memory already. */
  add(owner: string, bytes: number): void {
    this.#bytes += bytes;
    this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? 0) + bytes);
  }

  free(owner: string, bytes: number): void {
    const rest = (this.#byOwner.get(owner) ?? 0) - bytes;
    this.#bytes -= bytes;
    if (rest > 0) this.#byOwner.set(owner, rest);
    else this.#byOwner.delete(owner);
  }
}

export function overloaded(): AppError {
  return new AppError("OVERLOADED", { retryAfterMs: RETRY_AFTER_MS });
}
