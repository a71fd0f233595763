// Opaque, tamper-proof page tokens, bound to the list they came from.
import { createHmac, timingSafeEqual } from "node:crypto";

const MAC_BYTES = 16;

/** Seals list cursors with a key of the installation. */
export class PageTokens {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** `scope` names the list and all its other arguments; a token opens only under the same scope. */
  seal(scope: string, cursor: readonly (string | number)[]): string {
    const body = Buffer.from(JSON.stringify(cursor), "utf8");
    return Buffer.concat([this.#mac(scope, body), body]).toString("base64url");
  }

  /** The cursor, or undefined when the token is garbled, forged or of another list. */
  open(scope: string, token: string): (string | number)[] | undefined {
    const bytes = Buffer.from(token, "base64url");
    if (bytes.length <= MAC_BYTES || bytes.toString("base64url") !== token) return undefined;
    const body = bytes.subarray(MAC_BYTES);
    if (!timingSafeEqual(this.#mac(scope, body), bytes.subarray(0, MAC_BYTES))) return undefined;
    return JSON.parse(body.toString("utf8")) as (string | number)[];
  }

  #mac(scope: string, body: Buffer): Buffer {
    const mac = createHmac("sha256", this.#key);
    mac.update(`${Buffer.byteLength(scope)}:${scope}`).update(body);
    return mac.digest().subarray(0, MAC_BYTES);
  }
}
