// Decides under which scope an Idempotency-Key counts, and for how long its response is kept.
import { type DescMethod, type Message, toBinary } from "@bufbuild/protobuf";
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import { canonicalEmail } from "@muster/core";
import { type IdempotencyLedgerPort, KEY_LIFETIME_MS } from "@muster/idempotency";
import { hasSecrets, withoutSecrets } from "@muster/privacy";
import type { Call } from "./call.ts";

/** Time for which a response with the tokens of a session is kept. */
const TOKENS_LIFETIME_MS = 5 * 60_000;
/** Fields of public requests that stand for the caller: the address typed, else the secret of a mail or a login. */
const CALLER_FIELDS = ["email", "token", "challenge"] as const;

/**
 * Keys are scoped by caller and method. A user is another caller in each organization; all callers of the demo
 * organization count as the same caller. For an anonymous caller, the address or the token of the request counts.
 */
export function scopeOf(call: Call, ledger: Pick<IdempotencyLedgerPort, "digest">): string {
  const { principal, plan } = call;
  if (principal.kind === "anonymous") {
    return `public/${ledger.digest(callerText(call.request as Message))}/${plan.name}`;
  }
  if (principal.kind === "demo") return plan.name;
  if (principal.kind !== "user") return `${principal.id}/${plan.name}`;
  return `user/${principal.id}/${principal.organizationId ?? ""}/${plan.name}`;
}

/**
 * Equal for equal requests: known fields in the order of their numbers. (No request holds a map.) Secrets are left
 * out, so that a key does not reveal whether a password is right.
 */
export function canonicalBody({ method, request }: Call): Uint8Array {
  const message = withoutSecrets(method.input, request as Message);
  return toBinary(method.input, message, { writeUnknownFields: false });
}

/** A refusal can be due to a secret, which the fingerprint of the request does not contain. */
export function keepsRefusals(method: DescMethod): boolean {
  return !hasSecrets(method.input);
}

export function lifetimeMsOf({ method, plan }: Call): number {
  const isOfPerson = plan.policy.access === Access.PUBLIC || plan.policy.access === Access.PERSON;
  return isOfPerson && hasSecrets(method.output) ? TOKENS_LIFETIME_MS : KEY_LIFETIME_MS;
}

function callerText(request: Message): string {
  const fields = request as unknown as Record<string, unknown>;
  for (const name of CALLER_FIELDS) {
    const value = fields[name];
    if (typeof value === "string") return `${name}:${name === "email" ? canonicalEmail(value) : value}`;
  }
  return "";
}
