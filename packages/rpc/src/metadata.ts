// Declares names of request metadata, selects the metadata that travels with a call, and reads ids from it.
import type { DescMethod } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import { rest } from "@muster/contracts/muster/options/v1/options_pb";
import { readsCredential } from "./method-plan.ts";

export const AUTHORIZATION = "authorization";
export const SERVICE_TOKEN = "muster-service-token";
/** The key and the signature of a partner. */
export const PARTNER_KEY = "x-api-key";
export const PARTNER_SIGNATURE = "x-signature";
export const IDEMPOTENCY_KEY = "idempotency-key";
export const IDEMPOTENCY_REPLAYED = "idempotency-replayed";
export const CONSISTENCY = "muster-consistency";
export const REQUEST_ID = "x-request-id";
export const TRACE_PARENT = "traceparent";
export const RETRY_AFTER = "retry-after";

/** All metadata of one request, names and values, in bytes. */
export const METADATA_BYTES_MAX = 16 * 1024;

/** Passed to every method by the mounts that face clients. */
const FORWARDED = [
  AUTHORIZATION,
  IDEMPOTENCY_KEY,
  CONSISTENCY,
  "accept-language",
  TRACE_PARENT,
  REQUEST_ID,
] as const;

const forwardedByMethod = new WeakMap<DescMethod, readonly string[]>();

/**
 * Names of the request headers that a client-facing mount passes to the method. All other headers are
 * dropped, above all a client's own `muster-service-token`.
 */
function forwardedHeaderNames(method: DescMethod): readonly string[] {
  let names = forwardedByMethod.get(method);
  if (names === undefined) {
    const requested = getOption(method, rest).requestHeaders.map((name) => name.toLowerCase());
    const withheld = readsCredential(method) ? [SERVICE_TOKEN] : [SERVICE_TOKEN, AUTHORIZATION];
    names = [...new Set([...FORWARDED, ...requested])].filter((name) => !withheld.includes(name));
    forwardedByMethod.set(method, names);
  }
  return names;
}

/** The headers of a client's request that travel with the call. */
export function forwardedHeaders(
  method: DescMethod,
  read: (name: string) => string | null | undefined,
): Map<string, string> {
  const headers = new Map<string, string>();
  for (const name of forwardedHeaderNames(method)) {
    const value = read(name);
    if (value !== null && value !== undefined) headers.set(name, value);
  }
  return headers;
}

/** Names of the response metadata that a client-facing mount sends to clients of the method. */
export function responseHeaderNames(method: DescMethod): readonly string[] {
  return [IDEMPOTENCY_REPLAYED, RETRY_AFTER, ...getOption(method, rest).responseHeaders];
}

const REQUEST_ID_FORM = /^[A-Za-z0-9._-]{1,128}$/;

/** The caller's request id, if it is well formed. */
export function requestIdFrom(headers: ReadonlyMap<string, string>): string | undefined {
  const id = headers.get(REQUEST_ID);
  return id !== undefined && REQUEST_ID_FORM.test(id) ? id : undefined;
}

const TRACE_PARENT_FORM = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The caller's W3C traceparent, or empty. */
export function traceParentFrom(headers: ReadonlyMap<string, string>): string {
  const value = headers.get(TRACE_PARENT);
  return value !== undefined && TRACE_PARENT_FORM.test(value) ? value : "";
}

/** Whole seconds, rounded up, as required by the Retry-After header. */
export function retryAfterSeconds(retryAfterMs: number): string {
  return String(Math.max(0, Math.ceil(retryAfterMs / 1000)));
}
