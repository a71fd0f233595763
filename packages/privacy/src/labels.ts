// Reads the personal-data label of each field from the proto options.
import { type DescField, getOption, ScalarType } from "@bufbuild/protobuf";
import {
  type FieldPolicy,
  field as fieldOption,
  PersonalData,
} from "@muster/contracts/muster/options/v1/options_pb";

export { PersonalData };

/** Types that can hold any value, so that the labels of their own fields have no meaning. */
const OPAQUE_TYPES = new Set([
  "google.protobuf.Any",
  "google.protobuf.BytesValue",
  "google.protobuf.ListValue",
  "google.protobuf.StringValue",
  "google.protobuf.Struct",
  "google.protobuf.Value",
  "google.api.HttpBody",
]);

const PERSONAL: ReadonlySet<PersonalData> = new Set([
  PersonalData.SUBJECT,
  PersonalData.IDENTITY,
  PersonalData.CONTENT,
]);

/** A cache, because every read of an option decodes the option. */
const policies = new Map<DescField, FieldPolicy>();

/** The options of a field in `muster.options.v1.field`. */
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

/**
 * Returns whether a build fails without a label: text and bytes, also in lists and map keys, and types that
 * can hold any value.
 */
export function needsLabel(field: DescField): boolean {
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING) return true;
  if (field.message !== undefined) return OPAQUE_TYPES.has(field.message.typeName);
  return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES;
}

/**
 * Returns whether a field contains personal data: the subject of the message, an identity, or the content of
 * an activity.
 */
export function isPersonal(field: DescField): boolean {
  return PERSONAL.has(personalDataOf(field));
}
