// Checks the personal-data classes of fields; returns findings about a set of proto files.
import { type DescField, type DescFile, type DescMessage, getOption } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { field as fieldOption, PersonalData } from "@muster/contracts/muster/options/v1/options_pb";
import { needsLabel, personalDataOf } from "@muster/privacy";

/** Classes required by field names. */
const NAMES: readonly (readonly [RegExp, keyof typeof PersonalData])[] = [
  [/(^|_)(profile|root)_ids?$/, "SUBJECT"],
  [/^(user_ids?|anonymous_ids?|emails?)$/, "IDENTITY"],
  [/^(traits|properties|where)$/, "CONTENT"],
  [/(^|_)(secret|password|hash)$/, "SECRET"],
];

/**
 * All messages of the files, including nested messages. Options are left out, because no message carries
 * them.
 */
export function messagesOf(files: readonly DescFile[]): DescMessage[] {
  return files
    .filter(({ proto }) => proto.package !== "muster.options.v1")
    .flatMap((file) => [...nestedTypes(file)])
    .filter((type): type is DescMessage => type.kind === "message");
}

/** String and bytes fields without a class. */
export function unlabeledFields(files: readonly DescFile[]): string[] {
  return fieldsOf(files)
    .filter((field) => needsLabel(field) && personalDataOf(field) === PersonalData.UNSPECIFIED)
    .map(nameOf);
}

/** Fields whose class contradicts their name. */
export function mislabeledFields(files: readonly DescFile[]): string[] {
  return fieldsOf(files).flatMap((field) => {
    const promised = NAMES.find(([form]) => form.test(field.name))?.[1];
    if (promised === undefined || field.message !== undefined || isAccountId(field)) return [];
    return personalDataOf(field) === PersonalData[promised] ? [] : [`${nameOf(field)} is ${promised}`];
  });
}

/** In identity, `user_id` is the id that Muster gave to the account of a user. Elsewhere it is what a tracker sent. */
function isAccountId({ name, parent }: DescField): boolean {
  return name === "user_id" && parent.file.proto.package === "muster.identity.v1";
}

/** JSON objects from outside may contain any personal data, so they must be classified as content. */
export function openFields(files: readonly DescFile[]): string[] {
  return fieldsOf(files)
    .filter((field) => getOption(field, fieldOption).rawJson && personalDataOf(field) === PersonalData.NONE)
    .map(nameOf);
}

/**
 * Messages of domain events with personal data but without a subject field, which an erasure would not find.
 */
export function ownerlessMessages(files: readonly DescFile[]): string[] {
  return messagesOf(files.filter(({ name }) => name.endsWith("_events")))
    .filter((message) => {
      const labels = new Set(message.fields.map(personalDataOf));
      const isPersonal = labels.has(PersonalData.IDENTITY) || labels.has(PersonalData.CONTENT);
      return isPersonal && !labels.has(PersonalData.SUBJECT);
    })
    .map(({ typeName }) => typeName);
}

function fieldsOf(files: readonly DescFile[]): DescField[] {
  return messagesOf(files).flatMap(({ fields }) => fields);
}

function nameOf(field: DescField): string {
  return `${field.parent.typeName}.${field.name}`;
}
