// Declares interceptors and composes a list of them into a function.
import type { Message } from "@bufbuild/protobuf";
import type { Call } from "./call.ts";

export type UnaryNext = (call: Call) => Promise<Message>;
export type StreamNext = (call: Call) => AsyncIterable<Message>;

export type Interceptor = Around | Before;

/** Runs around the call. Without `stream` it does not apply to streaming calls. */
export interface Around {
  readonly unary: (call: Call, next: UnaryNext) => Promise<Message>;
  readonly stream?: (call: Call, next: StreamNext) => AsyncIterable<Message>;
}

/** Runs before the call; refuses the call by throwing. */
export interface Before {
  readonly before: (call: Call) => Promise<void> | void;
}

/** Outermost first. */
export function composeUnary(interceptors: readonly Interceptor[], handler: UnaryNext): UnaryNext {
  return interceptors.reduceRight<UnaryNext>((next, interceptor) => {
    if ("before" in interceptor) {
      return async (call) => {
        await interceptor.before(call);
        return next(call);
      };
    }
    return (call) => interceptor.unary(call, next);
  }, handler);
}

/**
 * Outermost first. Every layer costs time per message of a stream, so layers without a stream function are
 * left out.
 */
export function composeStream(interceptors: readonly Interceptor[], handler: StreamNext): StreamNext {
  const checks: Before["before"][] = [];
  const layers: NonNullable<Around["stream"]>[] = [];
  for (const interceptor of interceptors) {
    if ("before" in interceptor) checks.push(interceptor.before);
    else if (interceptor.stream !== undefined) layers.push(interceptor.stream);
  }
  const checked: StreamNext = async function* (call) {
    for (const check of checks) await check(call);
    yield* handler(call);
  };
  return layers.reduceRight<StreamNext>((next, layer) => (call) => layer(call, next), checked);
}
