// Seals the content of mail jobs: recipients, and tokens that open accounts.
import { createHmac } from "node:crypto";
import { openSealed, rowKey, sealBytes } from "@muster/core";
import type { RenderedMail } from "./render-mail.ts";

export interface MailPayload extends RenderedMail {
  /** Null for a job whose mail is not sent: the address has no account. */
  readonly to: string | null;
}

export class MailSeal {
  readonly #payloadKey: Buffer;
  readonly #quotaKey: Buffer;
  readonly #recipientKey: Buffer;

  /** `key` is the key of the installation for mails. */
  constructor(key: Uint8Array) {
    this.#payloadKey = rowKey(key, "payload");
    this.#quotaKey = rowKey(key, "quota");
    this.#recipientKey = rowKey(key, "recipient");
  }

  seal(jobId: string, payload: MailPayload): Buffer {
    const text = Buffer.from(JSON.stringify(payload), "utf8");
    return sealBytes(rowKey(this.#payloadKey, jobId), [text], jobId);
  }

  /** Throws for bytes that were not sealed for this job by this installation. */
  open(jobId: string, bytes: Uint8Array): MailPayload {
    return JSON.parse(openSealed(rowKey(this.#payloadKey, jobId), bytes, jobId).toString("utf8"));
  }

  /** Digest of an address and a kind, from which nobody without the key finds the address. */
  quotaKeyOf(address: string, kind: string): Buffer {
    return createHmac("sha256", this.#quotaKey)
      .update(JSON.stringify([address, kind]))
      .digest();
  }

  /** Digest of an address, by which an erasure finds the waiting mails. */
  recipientKeyOf(address: string): Buffer {
    return createHmac("sha256", this.#recipientKey).update(address).digest();
  }
}
