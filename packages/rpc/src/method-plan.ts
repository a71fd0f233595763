// Reads each method's descriptor once, before the first call, into a plan. Construction fails where the
// descriptor leaves a gap.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { getOption } from "@bufbuild/protobuf";
import {
  type MethodPolicy,
  policy as policyOption,
  StreamEnd,
} from "@muster/contracts/muster/options/v1/options_pb";
import { AssertionError } from "@muster/core";
import type { CallContext, ServiceImplementation } from "./handler.ts";
import { warmValidator } from "./validation.ts";

type Init = Record<string, unknown>;
export type ErasedUnaryHandler = (request: Message, context: CallContext) => Promise<Init>;
export type ErasedStreamHandler = (
  request: Message | AsyncIterable<Message>,
  context: CallContext,
) => AsyncIterable<Init>;

export interface MethodPlan {
  readonly method: DescMethod;
  /** "muster.events.v1.EventService/RecordEvent". */
  readonly name: string;
  readonly policy: MethodPolicy;
  readonly handler: ErasedUnaryHandler | ErasedStreamHandler;
}

export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}

/**
 * Whether the method's stream follows changes until its caller leaves. Streams of the infrastructure, which have
 * no policy, count as endless too.
 */
export function isEndless(method: DescMethod): boolean {
  const { permission, internal, streamEnd } = getOption(method, policyOption);
  const hasPolicy = permission !== "" || internal;
  return method.methodKind !== "unary" && (!hasPolicy || streamEnd === StreamEnd.ENDLESS);
}

/** The plans of all methods, by descriptor. Throws for a method without a permission or callers. */
export function planMethods(implementations: readonly ServiceImplementation[]): Map<DescMethod, MethodPlan> {
  const plans = new Map<DescMethod, MethodPlan>();
  for (const { service, handlers } of implementations) {
    for (const method of service.methods) {
      const name = methodName(method);
      if (plans.has(method)) throw new AssertionError(`${name} is implemented twice`);
      const handler = handlers[method.localName];
      if (typeof handler !== "function") throw new AssertionError(`${name} has no handler`);
      const policy = getOption(method, policyOption);
      const gap = policyGap(method, policy);
      if (gap !== undefined) throw new AssertionError(`${name} ${gap}`);
      warmValidator(method.input);
      plans.set(method, { method, name, policy, handler: handler as MethodPlan["handler"] });
    }
  }
  return plans;
}

function policyGap(method: DescMethod, policy: MethodPolicy): string | undefined {
  if (method.methodKind === "client_streaming") return "streams requests only, which no mount serves";
  if (policy.internal) {
    if (policy.callers.length === 0) return "is internal and lists no callers";
    if (policy.permission !== "") return "is internal and names a permission";
    if (policy.anonymousDemo) return "is internal and open to the demo";
  } else if (policy.permission === "") {
    return "names no permission and is not internal";
  }
  if (policy.idempotencyLedger && method.methodKind !== "unary") return "streams, so it has no idempotency";
  const isStream = method.methodKind !== "unary";
  if (isStream && policy.streamEnd === StreamEnd.UNSPECIFIED) return "streams without a stream_end";
  if (!isStream && policy.streamEnd !== StreamEnd.UNSPECIFIED) return "is unary and has a stream_end";
  return undefined;
}
