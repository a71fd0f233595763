// Authenticates a partner by the key and the signature of the body.
import type { Message } from "@bufbuild/protobuf";
import {
  type PartnerPrincipal,
  type PartnerVerifier,
  parsePartnerSignature,
  partnerKeyHash,
} from "@muster/authz";
import { AppError } from "@muster/errors";
import { PARTNER_KEY, PARTNER_SIGNATURE } from "../metadata.ts";

export interface PartnerDeps {
  /** Without a verifier, no partner is accepted. */
  readonly partners?: PartnerVerifier | undefined;
}

interface PartnerHeaders {
  readonly keyHash: Buffer;
  readonly signature: string;
}

/** Throws UNAUTHENTICATED where the headers are absent or malformed, before any byte of the body is read. */
export function partnerHeaders(headers: ReadonlyMap<string, string>): PartnerHeaders {
  const keyHash = partnerKeyHash(headers.get(PARTNER_KEY) ?? "");
  const signature = headers.get(PARTNER_SIGNATURE) ?? "";
  if (keyHash === undefined || parsePartnerSignature(signature) === undefined) throw refused();
  return { keyHash, signature };
}

/** Throws UNAUTHENTICATED unless a partner has signed the body. */
export async function identifyPartner(
  { partners }: PartnerDeps,
  headers: ReadonlyMap<string, string>,
  body: Uint8Array,
): Promise<PartnerPrincipal> {
  const partner = await partners?.({ ...partnerHeaders(headers), body });
  if (partner === undefined) throw refused();
  return partner;
}

/** The `raw_body` of the request; empty where the request has no such field. */
export function rawBodyOf(message: Message): Uint8Array {
  const { rawBody } = message as Message & { readonly rawBody?: unknown };
  return rawBody instanceof Uint8Array ? rawBody : new Uint8Array();
}

function refused(): AppError {
  return new AppError("UNAUTHENTICATED");
}
