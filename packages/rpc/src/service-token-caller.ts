// A Caller that shows this service's token, so that internal methods of others take its calls.
import type { ServiceTokenPort } from "@muster/authz";
import type { Caller, CallOptions } from "./caller.ts";
import { SERVICE_TOKEN } from "./metadata.ts";

export function withServiceToken(caller: Caller, tokens: ServiceTokenPort): Caller {
  const signed = (options: CallOptions): CallOptions => ({
    ...options,
    headers: new Map(options.headers).set(SERVICE_TOKEN, tokens.mint()),
  });
  return {
    unary: (method, request, options) => caller.unary(method, request, signed(options)),
    stream: (method, requests, options) => caller.stream(method, requests, signed(options)),
  };
}
