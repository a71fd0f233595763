// Takes persons out of messages that were written before they were erased.
import { type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { clearField, fieldValue, keepOnly } from "./field-values.ts";
import { PersonalData, personalDataOf } from "./labels.ts";
import { profileIdOf, subjectPlanOf } from "./subjects.ts";

/** Profiles of one organisation. */
export interface Subjects {
  readonly organizationId: OrganizationId;
  readonly profileIds: ReadonlySet<ProfileId>;
}

/**
 * The encoded message without what it says about these profiles, or undefined if it says nothing. Every
 * message inside it that is about one of them is gone. A message that is itself about one keeps its ids, for
 * its readers are owed the fact that something was there, and loses the rest.
 */
export function scrub(schema: DescMessage, bytes: Uint8Array, subjects: Subjects): Uint8Array | undefined {
  if (!mentions(bytes, subjects.profileIds)) return undefined;
  const message = fromBinary(schema, bytes);
  const isOurs = isOfOrganization(message, subjects.organizationId, true);
  const isAbout = isOurs && isAboutOne(schema, message, subjects);
  const isChanged = isAbout ? emptyOut(schema, message) : scrubInside(schema, message, subjects, isOurs);
  return isChanged ? toBinary(schema, message) : undefined;
}

/** Ids stand in a message as they are, so most messages need not be decoded. */
function mentions(bytes: Uint8Array, profileIds: ReadonlySet<ProfileId>): boolean {
  const haystack = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const id of profileIds) if (haystack.includes(uuidToBytes(id)) || haystack.includes(id)) return true;
  return false;
}

/** `isOurs`: whether what surrounds the messages is of the organisation, for those that do not say. */
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

/** Clears all that is neither a profile's id nor labelled as telling nothing. */
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
