// Checks the caller against the method's policy option.
import type { Message } from "@bufbuild/protobuf";
import type { ApiKeyUsage, Principal, UserPrincipal } from "@muster/authz";
import { Access, type MethodPolicy } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";
import type { Call } from "./call.ts";
import type { Before } from "./interceptor.ts";
import { renewUser, requireStepUp, type StepUpDeps } from "./step-up.ts";

export type AuthorizeDeps = StepUpDeps;

/** A call counts for the calling key as soon as it is allowed, whatever its result. */
export function authorize(deps: AuthorizeDeps & { readonly usage: ApiKeyUsage | undefined }): Before {
  return {
    async before(call) {
      const { plan, options, principal } = call;
      const subject = { userId: namedUser(call, principal) };
      call.caller = await requireAllowed(deps, plan.policy, options.headers, principal, subject);
      if (call.caller.kind === "api_key") deps.usage?.count(call.caller.id);
    },
  };
}

/** The user that the request names in the policy's `self_field`; undefined as long as the request is not read. */
export interface Subject {
  readonly userId: string | undefined;
}

const NOT_READ: Subject = { userId: undefined };

/** Resolves to the caller as verified last. Rejects where the policy does not allow the caller. */
export async function requireAllowed(
  deps: AuthorizeDeps,
  policy: MethodPolicy,
  headers: ReadonlyMap<string, string>,
  caller: Principal,
  subject: Subject = NOT_READ,
): Promise<Principal> {
  // The user may have enrolled at another process a moment ago, so a cached verification never refuses.
  const enrolled = lacksFactor(policy, caller) ? await renewUser(deps, headers) : caller;
  assertAllowed(policy, enrolled, subject);
  if (policy.stepUp !== true || enrolled.kind !== "user") return enrolled;
  const renewed = await requireStepUp(deps, headers, enrolled);
  assertAllowed(policy, renewed, subject);
  return renewed;
}

/** Throws an error of the status 403 where the policy does not allow the caller. */
export function assertAllowed(policy: MethodPolicy, caller: Principal, subject: Subject = NOT_READ): void {
  switch (policy.access) {
    case Access.PUBLIC:
      return;
    case Access.PERMISSION:
      assertPermitted(policy, caller, subject);
      return;
    case Access.INTERNAL:
      if (caller.kind === "service" && policy.callers.includes(caller.id)) return;
      throw denied("Only services of the installation may call this.");
    case Access.CREDENTIAL:
      if (caller.kind === "user" || caller.kind === "api_key") return;
      throw denied("Only a signed-in user or an API key may call this.");
    case Access.PERSON:
      if (caller.kind === "user") return;
      throw denied("Only a signed-in user may call this.");
    case Access.PARTNER:
      if (caller.kind === "partner") return;
      throw denied("Only a partner may call this.");
    default:
      throw denied("This kind of caller may not call this.");
  }
}

function assertPermitted(policy: MethodPolicy, caller: Principal, subject: Subject): void {
  const { permission } = policy;
  if (caller.kind === "user" && caller.organizationId === undefined) {
    throw new AppError("ORGANIZATION_REQUIRED");
  }
  if (lacksFactor(policy, caller)) throw new AppError("TWO_FACTOR_ENROLLMENT_REQUIRED");
  if ("permissions" in caller && caller.permissions.has(permission)) return;
  if (mayBeSelf(policy, caller, subject)) return;
  throw new AppError("PERMISSION_DENIED", { details: { permission } });
}

function lacksFactor({ access }: MethodPolicy, caller: Principal): caller is UserPrincipal {
  return access === Access.PERMISSION && caller.kind === "user" && caller.needsSecondFactor;
}

/** Users need no permission for their own row. */
function mayBeSelf({ selfField }: MethodPolicy, caller: Principal, { userId }: Subject): boolean {
  return selfField !== "" && caller.kind === "user" && (userId === undefined || userId === caller.id);
}

/**
 * Decodes the request where the named user decides. The message is not validated yet, so that a caller who is not allowed
 * receives 403 for an invalid request too.
 */
function namedUser({ plan, source, method }: Call, caller: Principal): string | undefined {
  const { selfField, permission } = plan.policy;
  const needsName = selfField !== "" && caller.kind === "user" && !caller.permissions.has(permission);
  if (!needsName || !("decode" in source)) return undefined;
  const field = method.input.fields.find(({ name }) => name === selfField);
  return textOf(source.decode(), field?.localName ?? "");
}

function textOf(message: Message, localName: string): string {
  return String((message as unknown as Record<string, unknown>)[localName] ?? "");
}

function denied(message: string): AppError {
  return new AppError("PERMISSION_DENIED", { message });
}
