// Makes the entity tag of a versioned resource, and compares it with If-None-Match.
import { createHash } from "node:crypto";
import type { Message } from "@bufbuild/protobuf";
import type { MessageCodecs } from "./json/message-codec.ts";
import type { LocalMessage } from "./json/value-codec.ts";
import type { VersionField } from "./routes/route.ts";

/** Private caches keep the response, and check each time that the copy is current. */
export const VERSIONED_CACHE_CONTROL = "private, no-cache";

/** Bytes of the digest: enough that two contents of one version differ. */
const DIGEST_BYTES = 12;
const ENTITY_TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g;

/**
 * Returns the version and a digest of the resource's JSON, or undefined for a response without the resource. Counts
 * and states change without a new version, so the version alone does not identify the content. If-Match compares the
 * version alone.
 */
export function entityTagOf(
  codecs: MessageCodecs,
  { parents, field }: VersionField,
  message: Message,
): string | undefined {
  let resource: LocalMessage | undefined = message as unknown as LocalMessage;
  let desc = field.parent;
  for (const parent of parents) {
    resource = resource?.[parent.localName] as LocalMessage | undefined;
    desc = parent.message ?? desc;
  }
  if (resource === undefined) return undefined;
  const digest = createHash("sha256").update(codecs.value(desc).encode(resource)).digest();
  return `"${resource[field.localName]}-${digest.subarray(0, DIGEST_BYTES).toString("base64url")}"`;
}

/** Whether If-None-Match lists the entity tag. Weak tags count too, as RFC 9110 requires for reads. */
export function isListed(entityTag: string, ifNoneMatch: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  return [...ifNoneMatch.matchAll(ENTITY_TAG)].some(([, tag]) => tag === entityTag);
}
