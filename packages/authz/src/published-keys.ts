// Keeps the public keys that verify access tokens, and fetches them again when a token names another key.
import { createPublicKey, type KeyObject } from "node:crypto";
import type { Clock, SigningKeyId } from "@muster/core";

/** Tokens with made-up key ids cause at most one fetch in this time. */
const FETCH_INTERVAL_MS = 1_000;

/** The public part of a signing key. */
export interface PublishedKey {
  readonly id: SigningKeyId;
  /** The two coordinates of the point on P-256, 32 bytes each. */
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** Reads the keys that identity publishes now. Rejects when identity is unreachable. */
export type PublishedKeyLookup = () => Promise<readonly PublishedKey[]>;

export class PublishedKeys {
  readonly #lookup: PublishedKeyLookup;
  readonly #clock: Clock;
  #keys: ReadonlyMap<SigningKeyId, KeyObject> = new Map();
  #fetch: Promise<void> | undefined;
  /** Monotonic ms at which the last complete fetch began. */
  #fetchedMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly lookup: PublishedKeyLookup; readonly clock: Clock }) {
    this.#lookup = options.lookup;
    this.#clock = options.clock;
  }

  /** Undefined when identity publishes no such key; rejects when identity is unreachable. */
  async find(id: SigningKeyId): Promise<KeyObject | undefined> {
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    if (this.#fetch === undefined && this.#clock.monotonicMs() - this.#fetchedMs < FETCH_INTERVAL_MS) {
      return undefined;
    }
    this.#fetch ??= this.#fetchKeys().finally(() => {
      this.#fetch = undefined;
    });
    await this.#fetch;
    return this.#keys.get(id);
  }

  async #fetchKeys(): Promise<void> {
    const beganMs = this.#clock.monotonicMs();
    const keys = await this.#lookup();
    this.#keys = new Map(keys.map((key) => [key.id, publicKeyOf(key)]));
    this.#fetchedMs = beganMs;
  }
}

function publicKeyOf({ x, y }: PublishedKey): KeyObject {
  const key = { kty: "EC", crv: "P-256", x: base64url(x), y: base64url(y) };
  return createPublicKey({ key, format: "jwk" });
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
