// Finds and removes the secrets of messages: passwords, codes and tokens.
import { clone, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { clearField, messagesOf } from "./field-values.ts";
import { PersonalData, personalDataOf } from "./labels.ts";
import { reachesField } from "./reachable-fields.ts";

const found = new Map<DescMessage, boolean>();

/** Whether a message of the type can contain a secret at any depth. */
export function hasSecrets(schema: DescMessage): boolean {
  let has = found.get(schema);
  if (has === undefined) {
    has = reachesField(schema, isSecret);
    found.set(schema, has);
  }
  return has;
}

/** The message itself if its type has no secrets, else a copy without them. */
export function withoutSecrets(schema: DescMessage, message: Message): Message {
  if (!hasSecrets(schema)) return message;
  const copy = clone(schema, message);
  removeSecrets(schema, copy);
  return copy;
}

function removeSecrets(schema: DescMessage, message: Message): void {
  for (const field of schema.fields) {
    if (isSecret(field)) clearField(schema, message, field);
    else if (field.message !== undefined && hasSecrets(field.message)) {
      for (const inner of messagesOf(message, field)) removeSecrets(field.message, inner);
    }
  }
}

function isSecret(field: DescField): boolean {
  return personalDataOf(field) === PersonalData.SECRET;
}
