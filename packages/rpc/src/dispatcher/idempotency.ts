// Implements the Idempotency-Key of unary methods: the first call runs, later calls receive its response.
import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type Clock, IDEMPOTENCY_KEY_BYTES_MAX } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import type { Claim, IdempotencyLedgerPort, KeptResponse, NewResponse } from "@muster/idempotency";
import { kindOfError, type Logger, OutageLog } from "@muster/log";
import { subjectsOf } from "@muster/privacy";
import type { SaveResponseOptions } from "../handler.ts";
import { IDEMPOTENCY_KEY, IDEMPOTENCY_REPLAYED } from "../metadata.ts";
import { boundError, errorFromStatusBytes } from "../status-proto.ts";
import type { Call } from "./call.ts";
import { stamped } from "./errors.ts";
import { canonicalBody, keepsRefusals, lifetimeMsOf, scopeOf } from "./idempotency-scope.ts";
import type { Around } from "./interceptor.ts";

const KEY_FORM = new RegExp(`^[\\x20-\\x7e]{1,${IDEMPOTENCY_KEY_BYTES_MAX}}$`);
/** Statuses of responses that stay valid for a repeated request; all others free the key. */
const KEPT_HTTP = new Set<number>([400, 404, 409, 412, 422]);

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
