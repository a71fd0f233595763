// Removes erased persons from encoded messages.
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { clearField, fieldValue, filterField } from "./field-values.ts";
import { PersonalData, personalDataOf } from "./labels.ts";
import { profileIdOf, subjectPlanOf } from "./subjects.ts";

/** Profiles of one organization. */
export interface Subjects {
  readonly organizationId: OrganizationId;
  readonly profileIds: ReadonlySet<ProfileId>;
}

/**
 * Returns the encoded message without data about the given profiles, or undefined when the message does not
 * mention them. Nested messages about a profile are removed. A message whose own subject is a profile loses
 * all fields except ids, because consumers must still find a message in this position.
 */
export function eraseSubjects(
  schema: DescMessage,
  bytes: Uint8Array,
  subjects: Subjects,
): Uint8Array | undefined {
  if (!containsId(bytes, subjects.profileIds)) return undefined;
  const message = fromBinary(schema, bytes);
  const isInOrganization = isOfOrganization(message, subjects.organizationId, true);
  const isAbout = isInOrganization && isAboutSubject(schema, message, subjects);
  const isChanged = isAbout
    ? clearPersonalFields(schema, message)
    : eraseNested(schema, message, subjects, isInOrganization);
  return isChanged ? toBinary(schema, message) : undefined;
}

/** Ids appear in encoded messages unchanged, so most messages need no decoding. */
function containsId(bytes: Uint8Array, profileIds: ReadonlySet<ProfileId>): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const id of profileIds) if (buffer.includes(uuidToBytes(id)) || buffer.includes(id)) return true;
  return false;
}

/**
 * `isInOrganization` is inherited by nested messages without an organization: whether the enclosing message belongs to
 * the organization.
 */
function eraseNested(
  schema: DescMessage,
  message: Message,
  subjects: Subjects,
  isInOrganization: boolean,
): boolean {
  const { own, nested } = subjectPlanOf(schema);
  let isChanged = false;
  for (const field of own) {
    if (!isInOrganization || field.fieldKind !== "list") continue;
    const keeps = (value: unknown): boolean => !isSubjectId(value, subjects);
    isChanged = filterField(schema, message, field, keeps) || isChanged;
  }
  for (const field of nested) {
    const inner = field.message;
    if (inner === undefined) continue;
    const keeps = (value: unknown): boolean => {
      const item = value as Message;
      const isItemInOrganization = isOfOrganization(item, subjects.organizationId, isInOrganization);
      if (isItemInOrganization && isAboutSubject(inner, item, subjects)) return false;
      isChanged = eraseNested(inner, item, subjects, isItemInOrganization) || isChanged;
      return true;
    };
    const isRemoved = filterField(schema, message, field, keeps);
    isChanged = isRemoved || isChanged;
  }
  return isChanged;
}

function isAboutSubject(schema: DescMessage, message: Message, subjects: Subjects): boolean {
  return subjectPlanOf(schema).own.some(
    (field) => field.fieldKind !== "list" && isSubjectId(fieldValue(message, field), subjects),
  );
}

function isSubjectId(value: unknown, { profileIds }: Subjects): boolean {
  const id = profileIdOf(value);
  return id !== undefined && profileIds.has(id);
}

function isOfOrganization(message: Message, organizationId: OrganizationId, fallback: boolean): boolean {
  const named = (message as { organizationId?: unknown }).organizationId;
  if (named instanceof Uint8Array) return named.length === 16 && bytesToUuid(named) === organizationId;
  return typeof named === "string" ? named === organizationId : fallback;
}

/** Clears all fields except profile ids and fields with the label NONE. */
function clearPersonalFields(schema: DescMessage, message: Message): boolean {
  const before = toBinary(schema, message);
  for (const field of schema.fields) {
    const label = personalDataOf(field);
    const isKept = label === PersonalData.SUBJECT || label === PersonalData.NONE;
    if (!isKept) clearField(schema, message, field);
  }
  delete message.$unknown;
  return Buffer.compare(before, toBinary(schema, message)) !== 0;
}
