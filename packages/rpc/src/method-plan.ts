// Reads each method's descriptor once, before the first call, into a plan. Construction fails where the
// descriptor leaves a gap.
import type { DescMethod, Message } from "@bufbuild/protobuf";
import { getOption, ScalarType } from "@bufbuild/protobuf";
import { isPermission } from "@muster/authz";
import {
  Access,
  type MethodPolicy,
  policy as policyOption,
  RateClass,
  rest as restOption,
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
  const { access, streamEnd } = getOption(method, policyOption);
  const hasPolicy = access !== Access.UNSPECIFIED;
  return method.methodKind !== "unary" && (!hasPolicy || streamEnd === StreamEnd.ENDLESS);
}

/** Whether anybody may call the method. */
export function isPublic(method: DescMethod): boolean {
  return getOption(method, policyOption).access === Access.PUBLIC;
}

/** Whether the method needs the bytes of an HTTP body, which the gateway's REST routes alone have. */
export function isRestOnly(method: DescMethod): boolean {
  return getOption(method, restOption).rawBody;
}

/** Whether the method reads the caller's credential. A public method ignores even a malformed one. */
export function readsCredential(method: DescMethod): boolean {
  return !isPublic(method) || getOption(method, policyOption).readsAccessToken;
}

/** The plans of all methods, by descriptor. Throws for a method whose policy leaves a gap. */
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
  return (
    accessGap(policy) ??
    partnerGap(method, policy) ??
    selfGap(method, policy) ??
    statementGap(policy) ??
    streamGap(method, policy)
  );
}

/** The signature of a partner is over the bytes of the body. */
function partnerGap(method: DescMethod, { access }: MethodPolicy): string | undefined {
  return access === Access.PARTNER && !isRestOnly(method) ? "is for partners and has no raw_body" : undefined;
}

function selfGap({ input, methodKind }: DescMethod, { access, selfField }: MethodPolicy): string | undefined {
  if (selfField === "") return undefined;
  if (access !== Access.PERMISSION) return "has a self_field without a permission";
  if (methodKind !== "unary") return "streams and has a self_field";
  const field = input.fields.find(({ name }) => name === selfField);
  const isText = field?.fieldKind === "scalar" && field.scalar === ScalarType.STRING;
  return isText ? undefined : "has a self_field that is no string field of the request";
}

function accessGap({ access, permission, callers, anonymousDemo }: MethodPolicy): string | undefined {
  if (access === Access.UNSPECIFIED) return "states no access";
  const needsPermission = access === Access.PERMISSION;
  if (needsPermission && !isPermission(permission)) return "names no permission of the table of roles";
  if (!needsPermission && permission !== "") return "names a permission that its access does not check";
  const isInternal = access === Access.INTERNAL;
  if (isInternal && callers.length === 0) return "is internal and lists no callers";
  if (!isInternal && callers.length > 0) return "lists callers and is not internal";
  if (!needsPermission && anonymousDemo) return "is open to the demo without a permission";
  return undefined;
}

const AUDIT_ACTION = /^(none|[a-z_]+\.[a-z_]+)$/;

function statementGap(policy: MethodPolicy): string | undefined {
  const { access, stepUp, sensitive, rateClass, auditAction } = policy;
  if (stepUp === undefined) return "does not state step_up";
  const hasUsers = access === Access.PERSON || access === Access.PERMISSION;
  if (stepUp && !hasUsers) return "demands a step-up of callers that have none";
  if (sensitive === undefined) return "does not state sensitive";
  if (!AUDIT_ACTION.test(auditAction)) return "states no audit_action";
  return rateClassGap(access, rateClass);
}

function rateClassGap(access: Access, rateClass: RateClass): string | undefined {
  if (rateClass === RateClass.UNSPECIFIED) return "states no rate_class";
  const isInternal = access === Access.INTERNAL;
  if (isInternal !== (rateClass === RateClass.UNLIMITED)) {
    return isInternal ? "is internal and has a limit" : "has no limit and is not internal";
  }
  const isCountedByAddress = rateClass === RateClass.PUBLIC || rateClass === RateClass.CREDENTIAL;
  if (access === Access.PUBLIC && !isCountedByAddress) return "is public and has no limit by address";
  return undefined;
}

function streamGap(method: DescMethod, policy: MethodPolicy): string | undefined {
  if (method.methodKind === "client_streaming") return "streams requests only, which no mount serves";
  const isStream = method.methodKind !== "unary";
  if (policy.idempotencyLedger && isStream) return "streams, so it has no idempotency";
  if (isStream && policy.streamEnd === StreamEnd.UNSPECIFIED) return "streams without a stream_end";
  if (!isStream && policy.streamEnd !== StreamEnd.UNSPECIFIED) return "is unary and has a stream_end";
  return undefined;
}
