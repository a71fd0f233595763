// What remains of an answer kept under an Idempotency-Key when people it is about are erased.
import { type DescMessage, type DescService, fromBinary } from "@bufbuild/protobuf";
import { AppError } from "@muster/errors";
import type { AnswerRewrite, KeptAnswer } from "@muster/idempotency";
import { isPersonal, type Subjects, scrub, subjectsOf } from "@muster/privacy";
import { reachesField } from "@muster/privacy/reachable-fields";
import { methodName } from "./method-plan.ts";
import { boundError } from "./status-proto.ts";

/**
 * An answer that says nothing about anybody stays. One that is about others too loses what it says of the erased ones; any other becomes EVENT_ERASED, so
 * that a retry learns what became of its effect and does not have it again.
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
