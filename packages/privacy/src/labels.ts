// What each field tells about a person, as its proto says.
import { type DescField, getOption, ScalarType } from "@bufbuild/protobuf";
import {
  type FieldPolicy,
  field as fieldOption,
  PersonalData,
} from "@muster/contracts/muster/options/v1/options_pb";

export { PersonalData };

/** What holds any value at all, so that its own fields can say nothing. */
const OPAQUE_TYPES = new Set([
  "google.protobuf.Any",
  "google.protobuf.BytesValue",
  "google.protobuf.ListValue",
  "google.protobuf.StringValue",
  "google.protobuf.Struct",
  "google.protobuf.Value",
  "google.api.HttpBody",
]);

const TELLING: ReadonlySet<PersonalData> = new Set([
  PersonalData.SUBJECT,
  PersonalData.IDENTITY,
  PersonalData.CONTENT,
]);

/** Options are decoded anew by each look at them. */
const policies = new Map<DescField, FieldPolicy>();

export function policyOf(field: DescField): FieldPolicy {
  let policy = policies.get(field);
  if (policy === undefined) {
    policy = getOption(field, fieldOption);
    policies.set(field, policy);
  }
  return policy;
}

export function personalDataOf(field: DescField): PersonalData {
  return policyOf(field).personal;
}

/** Whether a build fails without a label: text and bytes, lists and maps of them, and what holds any value. */
export function needsLabel(field: DescField): boolean {
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING) return true;
  if (field.message !== undefined) return OPAQUE_TYPES.has(field.message.typeName);
  return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
}

/** Whether a field tells something about a person: of whom the message tells, who that is, what they did. */
export function isPersonal(field: DescField): boolean {
  return TELLING.has(personalDataOf(field));
}
