// Validates messages against the buf.validate rules of their descriptors. The process shares a single
// validator, because constructing a validator costs milliseconds.
import {
  create,
  type DescMessage,
  getOption,
  hasOption,
  type Message,
  type MessageShape,
} from "@bufbuild/protobuf";
import { pathToString, usedTypes } from "@bufbuild/protobuf/reflect";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import {
  field as fieldRules,
  message as messageRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { AssertionError } from "@muster/core";
import { AppError, type FieldError } from "@muster/errors";

/** Number of violations in an error; further violations appear after these are corrected. */
export const VIOLATIONS_MAX = 20;

const validator = createValidator();
const constrained = new WeakMap<DescMessage, boolean>();

/** Violations of the message, at most {@link VIOLATIONS_MAX}; empty if the message is valid. */
export function validateMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): FieldError[] {
  if (!isConstrained(schema)) return [];
  const result = validator.validate(schema, message);
  if (result.kind === "valid") return [];
  if (result.kind === "error") {
    throw new AssertionError(`the rules of ${schema.typeName} failed`, { cause: result.error });
  }
  return result.violations.slice(0, VIOLATIONS_MAX).map((violation) => fieldError(schema, violation));
}

/** Throws FIELD_INVALID with every field that breaks its rule. */
export function assertValid(schema: DescMessage, message: Message): void {
  const fields = validateMessage(schema, message);
  const first = fields[0];
  if (first === undefined) return;
  const text = first.field === "" ? first.message : `${first.field}: ${first.message}`;
  throw new AppError("FIELD_INVALID", { message: text, fields });
}

/** Compiles the schema's rules, so that the first request does not wait and a broken rule fails the start. */
export function warmValidator(schema: DescMessage): void {
  validateMessage(schema, create(schema));
}

/** The library's words for a lower bound of one, and for an enum that must not be unspecified. */
const ABSENT = /^must (be|contain) at least 1 (bytes|characters|item\(s\))$|^must not be in list \[0\]$/;

function fieldError(schema: DescMessage, violation: Violation): FieldError {
  const path = pathToString(violation.field);
  const message = ABSENT.test(violation.message) ? "must not be empty" : violation.message;
  return { field: path === "" ? fieldOfRule(schema, violation.ruleId) : path, message };
}

/** A rule of the whole message has no path; by convention its id begins with a field name. */
function fieldOfRule(schema: DescMessage, ruleId: string): string {
  const name = ruleId.split(".", 1)[0] ?? "";
  return schema.fields.some((field) => field.name === name) ? name : "";
}

/** Whether any rule can apply to the message or to a nested message. */
function isConstrained(schema: DescMessage): boolean {
  let known = constrained.get(schema);
  if (known === undefined) {
    known = hasRules(schema);
    for (const type of usedTypes(schema)) known ||= type.kind === "message" && hasRules(type);
    constrained.set(schema, known);
  }
  return known;
}

function hasRules(schema: DescMessage): boolean {
  const rules = getOption(schema, messageRules);
  return (
    (hasOption(schema, messageRules) && rules !== undefined) ||
    schema.fields.some((field) => hasOption(field, fieldRules)) ||
    schema.oneofs.some((oneof) => hasOption(oneof, oneofRules))
  );
}
