// Removes erased profiles from a response saved under an Idempotency-Key.
import { type DescMessage, type DescService, fromBinary } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { AnswerRewrite, KeptAnswer } from "@muster/idempotency";
import { isPersonal, type Subjects, scrub, subjectsOf } from "@muster/privacy";
import { reachesField } from "@muster/privacy/reachable-fields";
import { methodName } from "./method-plan.ts";
import { boundError } from "./status-proto.ts";

/**
 * A response without personal data stays. A response that is also about other profiles loses the fields about
 * the erased profiles. Any other response becomes EVENT_ERASED, so that a retry reports the erasure and does
 * not repeat the effect.
 */
export function answerWithout(services: readonly DescService[], subjects: Subjects): AnswerRewrite {
  const outputs = new Map<string, DescMessage>();
  for (const service of services) {
    for (const method of service.methods) outputs.set(methodName(method), method.output);
  }
  return (method, answer) => {
    const output = outputs.get(method);
    if (!answer.ok || (output !== undefined && !reachesField(output, isPersonal))) return undefined;
    const rest = output && scrub(output, answer.body, subjects);
    if (output === undefined || rest === undefined) return erasedAnswer();
    const others = subjectsOf(output, fromBinary(output, rest));
    const isAboutOthers = others.some((id) => !subjects.profileIds.has(id));
    return isAboutOthers ? { ...answer, body: rest } : erasedAnswer();
  };
}

function erasedAnswer(): KeptAnswer {
  const error = new AppError("EVENT_ERASED", {
    message: "What this request brought was erased with its person; a retry brings nothing back.",
  });
  return { ok: false, body: boundError(error).statusBytes, headers: {} };
}
