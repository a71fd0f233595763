// Removes erased persons from encoded messages.
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { clearField, fieldValue, keepOnly } from "./field-values.ts";
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
export function scrub(schema: DescMessage, bytes: Uint8Array, subjects: Subjects): Uint8Array | undefined {
  if (!mentions(bytes, subjects.profileIds)) return undefined;
  const message = fromBinary(schema, bytes);
  const isOurs = isOfOrganization(message, subjects.organizationId, true);
  const isAbout = isOurs && isAboutOne(schema, message, subjects);
  const isChanged = isAbout ? emptyOut(schema, message) : scrubInside(schema, message, subjects, isOurs);
  return isChanged ? toBinary(schema, message) : undefined;
}

/** Ids appear in encoded messages unchanged, so most messages need no decoding. */
function mentions(bytes: Uint8Array, profileIds: ReadonlySet<ProfileId>): boolean {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const id of profileIds) if (haystack.includes(uuidToBytes(id)) || haystack.includes(id)) return true;
  return false;
}

/**
 * `isOurs` is inherited by nested messages without an organization: whether the enclosing message belongs to
 * the organization.
 */
function scrubInside(schema: DescMessage, message: Message, subjects: Subjects, isOurs: boolean): boolean {
  const { own, nested } = subjectPlanOf(schema);
  let isChanged = false;
  for (const field of own) {
    if (!isOurs || field.fieldKind !== "list") continue;
    const keeps = (value: unknown): boolean => !isOne(value, subjects);
    isChanged = keepOnly(schema, message, field, keeps) || isChanged;
  }
  for (const field of nested) {
    const inner = field.message;
    if (inner === undefined) continue;
    const keeps = (value: unknown): boolean => {
      const item = value as Message;
      const isItemOurs = isOfOrganization(item, subjects.organizationId, isOurs);
      if (isItemOurs && isAboutOne(inner, item, subjects)) return false;
      isChanged = scrubInside(inner, item, subjects, isItemOurs) || isChanged;
      return true;
    };
    const isRemoved = keepOnly(schema, message, field, keeps);
    isChanged = isRemoved || isChanged;
  }
  return isChanged;
}

function isAboutOne(schema: DescMessage, message: Message, subjects: Subjects): boolean {
  return subjectPlanOf(schema).own.some(
    (field) => field.fieldKind !== "list" && isOne(fieldValue(message, field), subjects),
  );
}

function isOne(value: unknown, { profileIds }: Subjects): boolean {
  const id = profileIdOf(value);
  return id !== undefined && profileIds.has(id);
}

function isOfOrganization(message: Message, organizationId: OrganizationId, otherwise: boolean): boolean {
  const named = (message as { organizationId?: unknown }).organizationId;
  if (named instanceof Uint8Array) return named.length === 16 && bytesToUuid(named) === organizationId;
  return typeof named === "string" ? named === organizationId : otherwise;
}

/** Clears all fields except profile ids and fields with the label NONE. */
function emptyOut(schema: DescMessage, message: Message): boolean {
  const before = toBinary(schema, message);
  for (const field of schema.fields) {
    const label = personalDataOf(field);
    const isKept = label === PersonalData.SUBJECT || label === PersonalData.NONE;
    if (!isKept) clearField(schema, message, field);
  }
  delete message.$unknown;
  return Buffer.compare(before, toBinary(schema, message)) !== 0;
}
