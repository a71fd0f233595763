// Finds the profiles that a message is about.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { bytesToUuid, isUuid, type ProfileId } from "@muster/core";
import { fieldValue, messagesOf } from "./field-values.ts";
import { PersonalData, personalDataOf } from "./labels.ts";
import { reachesField } from "./reachable-fields.ts";

/** The fields of a message type that lead to subjects. */
interface SubjectPlan {
  /** Fields of the type that contain a profile id. */
  readonly own: readonly DescField[];
  /** Fields with nested messages that can contain a profile id at any depth. */
  readonly nested: readonly DescField[];
}

const plans = new Map<DescMessage, SubjectPlan>();

export function subjectPlanOf(schema: DescMessage): SubjectPlan {
  let plan = plans.get(schema);
  if (plan === undefined) {
    plan = {
      own: schema.fields.filter(isSubject),
      nested: schema.fields.filter(
        ({ message }) => message !== undefined && reachesField(message, isSubject),
      ),
    };
    plans.set(schema, plan);
  }
  return plan;
}

/** Returns the distinct profile ids in a message and all nested messages. Invalid ids are omitted. */
export function subjectsOf(schema: DescMessage, message: Message): ProfileId[] {
  const found = new Set<ProfileId>();
  collect(schema, message, found);
  return [...found];
}

function collect(schema: DescMessage, message: Message, found: Set<ProfileId>): void {
  const { own, nested } = subjectPlanOf(schema);
  for (const field of own) {
    for (const id of idsOf(message, field)) found.add(id);
  }
  for (const field of nested) {
    if (field.message === undefined) continue;
    for (const inner of messagesOf(message, field)) collect(field.message, inner, found);
  }
}

function idsOf(message: Message, field: DescField): ProfileId[] {
  const value = fieldValue(message, field);
  const values = field.fieldKind === "list" ? (value as unknown[]) : [value];
  return values.map(profileIdOf).filter((id) => id !== undefined);
}

/** Ids have 16 bytes in internal messages and are text in public messages. */
export function profileIdOf(value: unknown): ProfileId | undefined {
  if (value instanceof Uint8Array) return value.length === 16 ? bytesToUuid(value) : undefined;
  return typeof value === "string" && isUuid(value) ? (value as ProfileId) : undefined;
}

function isSubject(field: DescField): boolean {
  return personalDataOf(field) === PersonalData.SUBJECT;
}
