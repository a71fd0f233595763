// Signs access tokens with the newest signing key.
import { createPrivateKey, type KeyObject } from "node:crypto";
import { type AccessTokenClaims, signAccessToken } from "@muster/authz";
import { openSealed, type SigningKeyId } from "@muster/core";
import { ensureSigningKey, type SigningKeyDeps, sealContext } from "../signing-keys/rotate-signing-key.ts";
import { type SigningKey, signerOf } from "../signing-keys/signing-key.ts";
import { listSigningKeys } from "../signing-keys/signing-key-store.ts";

export interface AccessTokenRequest extends AccessTokenClaims {
  readonly nowMs: number;
}

export class AccessTokens {
  readonly #deps: SigningKeyDeps;
  /** The private key that signed last. */
  #opened: { readonly id: SigningKeyId; readonly key: KeyObject } | undefined;

  constructor(deps: SigningKeyDeps) {
    this.#deps = deps;
  }

  /** Reads the keys each time, so that a withdrawn key never signs. */
  async sign({ nowMs, ...claims }: AccessTokenRequest): Promise<string> {
    const signer = await this.#signer(nowMs);
    return signAccessToken(claims, {
      key: this.#open(signer),
      signingKeyId: signer.id,
      nowMs,
      tokenId: this.#deps.ids.next(nowMs),
    });
  }

  async #signer(nowMs: number): Promise<SigningKey> {
    const signer = await this.#find(nowMs);
    if (signer !== undefined) return signer;
    // The worker may not have run yet.
    await ensureSigningKey(this.#deps);
    const made = await this.#find(nowMs);
    if (made === undefined) throw new Error("there is no signing key");
    return made;
  }

  async #find(nowMs: number): Promise<SigningKey | undefined> {
    return signerOf(await listSigningKeys(this.#deps.database.reader), nowMs);
  }

  #open({ id, sealedPrivateKey }: SigningKey): KeyObject {
    if (this.#opened?.id === id) return this.#opened.key;
    const der = openSealed(this.#deps.sealKey, sealedPrivateKey, sealContext(id));
    const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
    this.#opened = { id, key };
    return key;
  }
}
