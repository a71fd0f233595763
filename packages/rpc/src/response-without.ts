// Removes erased profiles from a response saved under an Idempotency-Key.
import { type DescMessage, type DescService, fromBinary } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { KeptResponse, ResponseRewrite } from "@muster/idempotency";
import { eraseSubjects, isPersonal, reachesField, type Subjects, subjectsOf } from "@muster/privacy";
import { methodName } from "./method-plan.ts";
import { boundError } from "./status-proto.ts";

/**
 * A response without personal data stays. A response that is also about other profiles loses the fields about
 * the erased profiles. Any other response becomes EVENT_ERASED, so that a retry reports the erasure and does
 * not repeat the effect.
 */
export function responseWithout(services: readonly DescService[], subjects: Subjects): ResponseRewrite {
  const outputs = new Map<string, DescMessage>();
  for (const service of services) {
    for (const method of service.methods) outputs.set(methodName(method), method.output);
  }
  return (method, response) => {
    const output = outputs.get(method);
    if (!response.ok || (output !== undefined && !reachesField(output, isPersonal))) return undefined;
    const rest = output && eraseSubjects(output, response.body, subjects);
    if (output === undefined || rest === undefined) return erasedResponse();
    const others = subjectsOf(output, fromBinary(output, rest));
    const isAboutOthers = others.some((id) => !subjects.profileIds.has(id));
    return isAboutOthers ? { ...response, body: rest } : erasedResponse();
  };
}

function erasedResponse(): KeptResponse {
  const error = new AppError("EVENT_ERASED", {
    message: "The profile of this request's first response was erased; a retry has no effect.",
  });
  return { ok: false, body: boundError(error).statusBytes, headers: {} };
}
