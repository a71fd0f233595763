// Builds messages of any type with a marker in every field with personal data or a secret.
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { bytesToUuid, type OrganizationId, type ProfileId, uuidToBytes } from "@muster/core";
import { PersonalData, personalDataOf } from "@muster/privacy";
import { validateMessage } from "@muster/rpc";

/** Occurs in no other text. 16 bytes long, so that it is valid where an id is expected. */
export const MARKER = "ada-lovelace-@#1";
/** Fills fields without personal data; the organization id is used for ids of organizations. */
const PLAIN = "nothing personal";
export const PLAIN_ORGANIZATION = bytesToUuid<OrganizationId>(Buffer.from(PLAIN));
const DEPTH_MAX = 4;
const REPAIRS_MAX = 5;

/** A message with every field set; ids of profiles are `subject`, or else the marker. */
export function markedMessage(schema: DescMessage, subject?: ProfileId, depth = 1): Message {
  const message = create(schema);
  const target = reflect(schema, message);
  const chosen = new Set<string>();
  for (const field of schema.fields) {
    // Only the first member of a oneof is set.
    if (field.oneof !== undefined && chosen.has(field.oneof.name)) continue;
    if (field.message !== undefined && depth >= DEPTH_MAX) continue;
    if (field.oneof !== undefined) chosen.add(field.oneof.name);
    setMarked(target, field, markedValue(field, subject, depth));
  }
  return message;
}

/** A message as full as its rules allow: fields that break a rule are unset. */
export function validMarkedMessage(schema: DescMessage): Message {
  const message = markedMessage(schema);
  for (let repair = 0; repair < REPAIRS_MAX; repair += 1) {
    const broken = new Set(
      validateMessage(schema, message).map(({ field }) => /^\w+/.exec(field)?.[0] ?? ""),
    );
    if (broken.size === 0) break;
    for (const field of schema.fields) {
      if (broken.has(field.name)) reflect(schema, message).clear(field);
    }
  }
  return message;
}

type Target = ReturnType<typeof reflect>;

function setMarked(target: Target, field: DescField, value: unknown): void {
  if (field.fieldKind === "list") target.get(field).add(value as never);
  else if (field.fieldKind === "map") target.get(field).set(MARKER as never, value as never);
  else target.set(field, value as never);
}

function markedValue(field: DescField, subject: ProfileId | undefined, depth: number): unknown {
  const isMarked = ![PersonalData.NONE, PersonalData.UNSPECIFIED].some(
    (label) => label === personalDataOf(field),
  );
  if (field.message !== undefined) {
    return reflect(field.message, markedMessage(field.message, subject, depth + 1));
  }
  if (subject !== undefined && personalDataOf(field) === PersonalData.SUBJECT) {
    return field.scalar === ScalarType.BYTES ? uuidToBytes(subject) : subject;
  }
  if (field.enum !== undefined) return field.enum.values.at(1)?.number ?? 0;
  switch (field.scalar) {
    case ScalarType.STRING:
      return textOf(field, isMarked ? MARKER : PLAIN);
    case ScalarType.BYTES:
      return Buffer.from(isMarked ? MARKER : PLAIN);
    case ScalarType.BOOL:
      return true;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 1n;
    default:
      return 1;
  }
}

function textOf(field: DescField, text: string): string {
  return field.name === "email" ? `${MARKER.replace("@", ".")}@example.com` : text;
}
