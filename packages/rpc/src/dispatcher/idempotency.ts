// Implements the Idempotency-Key of unary methods: the first call runs, later calls receive its response.
import { create, type DescMethod, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { Access } from "@muster/contracts/muster/options/v1/options_pb";
import { type Clock, canonicalEmail, IDEMPOTENCY_KEY_BYTES_MAX, type UserId } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import {
  type Claim,
  type IdempotencyLedgerPort,
  KEY_LIFETIME_MS,
  type KeptResponse,
  type NewResponse,
} from "@muster/idempotency";
import { kindOfError, type Logger, OutageLog } from "@muster/log";
import { hasSecrets, subjectsOf, withoutSecrets } from "@muster/privacy";
import type { SaveResponseOptions } from "../handler.ts";
import { IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED } from "../metadata.ts";
import { boundError, errorFromStatusBytes } from "../status-proto.ts";
import type { Call } from "./call.ts";
import { stamped } from "./errors.ts";
import type { Around } from "./interceptor.ts";

const KEY_FORM = new RegExp(`^[\\x20-\\x7e]{1,${IDEMPOTENCY_KEY_BYTES_MAX}}$`);
/** Statuses of responses that stay valid for a repeated request; all others free the key. */
const KEPT_HTTP = new Set<number>([400, 404, 409, 412, 422]);

/** Time for which a response with the tokens of a session is kept. */
const TOKENS_LIFETIME_MS = 5 * 60_000;
/** Fields of public requests that stand for the caller: the address typed, else the secret of a mail or a login. */
const CALLER_FIELDS = ["email", "token", "challenge"] as const;

export interface IdempotencyDeps {
  readonly ledger: IdempotencyLedgerPort | undefined;
  readonly log: Logger;
  readonly clock: Clock;
}

/** Failures of the ledger around a call. */
interface LedgerFailures {
  readonly notKept: OutageLog;
  readonly notReleased: OutageLog;
}

function ledgerFailures({ log, clock }: IdempotencyDeps): LedgerFailures {
  const outageLog = (failed: string, ended: string) =>
    new OutageLog(log, { failed, ended, level: "warn" }, clock);
  return {
    notKept: outageLog(
      "the response was not kept for the Idempotency-Key",
      "responses are kept for the Idempotency-Key again",
    ),
    notReleased: outageLog(
      "idempotency key stays claimed until its lease ends",
      "idempotency keys are released again",
    ),
  };
}

export function idempotency(deps: IdempotencyDeps): Around {
  const { ledger } = deps;
  const failures = ledgerFailures(deps);
  return {
    async unary(call, next) {
      const key = call.options.headers.get(IDEMPOTENCY_KEY);
      if (key === undefined || !call.plan.policy.idempotencyLedger) return next(call);
      if (!KEY_FORM.test(key)) {
        throw invalidField(
          "Idempotency-Key",
          `must be 1 to ${IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters`,
        );
      }
      // Running the call would imply a guarantee that no ledger backs.
      if (ledger === undefined)
        throw new AppError("UNIMPLEMENTED", { message: "There is no idempotency here." });
      const begun = await ledger.begin(scopeOf(call, ledger), key, canonicalBody(call), lifetimeMsOf(call));
      if (begun.kind === "replay") return replay(call, next, begun.response);
      return run({ call, next, ledger, failures, claim: begun.claim });
    },
  };
}

/**
 * Keys are scoped by caller and method. A user is another caller in each organization; all callers of the demo
 * organization count as the same caller. For an anonymous caller, the address or the token of the request counts.
 */
function scopeOf(call: Call, ledger: Pick<IdempotencyLedgerPort, "digest">): string {
  const { principal, plan } = call;
  if (principal.kind === "anonymous") {
    return `public/${ledger.digest(callerText(call.request as Message))}/${plan.name}`;
  }
  if (principal.kind === "demo") return plan.name;
  if (principal.kind !== "user") return `${principal.id}/${plan.name}`;
  return `${userScope(principal.id)}${principal.organizationId ?? ""}/${plan.name}`;
}

/** The beginning of the scopes of a user, in every organization. */
export function userScope(userId: UserId): string {
  return `user/${userId}/`;
}

/**
 * Equal for equal requests: known fields in the order of their numbers. (No request holds a map.) Secrets are left
 * out, so that a key does not reveal whether a password is right.
 */
function canonicalBody({ method, request }: Call): Uint8Array {
  const message = withoutSecrets(method.input, request as Message);
  return toBinary(method.input, message, { writeUnknownFields: false });
}

/** A refusal can be due to a secret, which the fingerprint of the request does not contain. */
function keepsRefusals(method: DescMethod): boolean {
  return !hasSecrets(method.input);
}

function lifetimeMsOf({ method, plan }: Call): number {
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

async function replay(
  call: Call,
  next: (call: Call) => Promise<Message>,
  response: KeptResponse,
): Promise<Message> {
  if (!response.ok) {
    throw (
      errorFromStatusBytes(response.body, { replayed: true }) ??
      new AppError("INTERNAL", { cause: new Error("a kept error cannot be read") })
    );
  }
  const kept = fromBinary(call.method.output, response.body);
  if (call.plan.policy.checksReplay) {
    call.keptResponse = kept;
    await next(call);
  }
  for (const [name, value] of Object.entries(response.headers)) call.responseHeaders.set(name, value);
  call.responseHeaders.set(IDEMPOTENCY_REPLAYED, "true");
  return kept;
}

interface Run {
  readonly call: Call;
  readonly next: (call: Call) => Promise<Message>;
  readonly ledger: IdempotencyLedgerPort;
  readonly failures: LedgerFailures;
  readonly claim: Claim;
}

async function run({ call, next, ledger, failures, claim }: Run): Promise<Message> {
  const fields = { method: call.plan.name, request_id: call.requestId };
  let isResponseSaved = false;
  call.responseSaver = async (trx, response, options) => {
    isResponseSaved = true;
    try {
      await ledger.saveResponse(trx, claim, okResponse(call, response, options));
    } catch (error) {
      isResponseSaved = false;
      throw error;
    }
  };
  try {
    const response = await next(call);
    if (!isResponseSaved) {
      // The effect, if any, is committed: a failure to save the response must not fail the call.
      await ledger.keep(claim, okResponse(call, response)).catch((error: unknown) => {
        failures.notKept.failed(kindOfError(error), error, fields);
      });
    }
    return response;
  } catch (error) {
    const response = error instanceof AppError ? stamped(error, call.requestId) : undefined;
    const ended =
      response !== undefined && isKept(response) && keepsRefusals(call.method)
        ? ledger.keep(claim, errorResponse(response))
        : ledger.release(claim);
    await ended.catch((failure: unknown) => {
      failures.notReleased.failed(kindOfError(failure), failure, fields);
    });
    throw error;
  }
}

function isKept(error: AppError): boolean {
  return KEPT_HTTP.has(error.row.http) && !error.reason.startsWith("IDEMPOTENCY_");
}

function okResponse(call: Call, response: Message, options: SaveResponseOptions = {}): NewResponse {
  const { output } = call.method;
  const message = create(output, response);
  return {
    ok: true,
    body: toBinary(output, message),
    headers: Object.fromEntries(call.responseHeaders),
    subjects: [...subjectsOf(output, message), ...(options.subjects ?? [])],
  };
}

function errorResponse(error: AppError): KeptResponse {
  return { ok: false, body: boundError(error).statusBytes, headers: {} };
}
