// Removes the content of an organization from a domain event. Pure.
import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { WITHDRAWN } from "../message-erasure/erase-messages.ts";

export interface OrganizationMessages {
  /** The schema of a type; undefined for an unknown type. */
  readonly schemaOf: (type: string) => DescMessage | undefined;
  /** Names of lists from which entries are removed. In other lists an empty entry stays, because readers count. */
  readonly shortenedLists?: readonly string[];
}

type Fields = Record<string, unknown>;

/**
 * Returns the data without the organization, {@link WITHDRAWN} for a message about this organization alone, and
 * undefined for a message that does not mention the organization.
 */
export function withoutOrganization(
  { schemaOf, shortenedLists = [] }: OrganizationMessages,
  type: string,
  data: Uint8Array,
  organization: Buffer,
): Uint8Array | typeof WITHDRAWN | undefined {
  const schema = schemaOf(type);
  // The bytes of the organization were found in the data.
  if (schema === undefined) return WITHDRAWN;
  const message = fromBinary(schema, data);
  if (isOf(message, organization)) return WITHDRAWN;
  const fields = message as unknown as Fields;
  let hasChanged = false;
  for (const field of schema.fields) {
    const value = fields[field.localName];
    if (field.fieldKind === "message" && isOf(value, organization)) return WITHDRAWN;
    if (field.fieldKind !== "list" || field.listKind !== "message" || !Array.isArray(value)) continue;
    const isShortened = shortenedLists.includes(field.name);
    const kept = keptEntries(field, value, organization, isShortened);
    if (kept === undefined) continue;
    fields[field.localName] = kept;
    hasChanged = true;
  }
  return hasChanged ? toBinary(schema, message) : undefined;
}

/** Undefined when no entry is of the organization. */
function keptEntries(
  field: DescField & { readonly fieldKind: "list"; readonly listKind: "message" },
  entries: readonly unknown[],
  organization: Buffer,
  isShortened: boolean,
): unknown[] | undefined {
  if (!entries.some((entry) => isOf(entry, organization))) return undefined;
  if (isShortened) return entries.filter((entry) => !isOf(entry, organization));
  return entries.map((entry) => (isOf(entry, organization) ? create(field.message) : entry));
}

function isOf(message: unknown, organization: Buffer): boolean {
  const id = (message as (Message & { readonly organizationId?: unknown }) | undefined)?.organizationId;
  return id instanceof Uint8Array && organization.equals(id);
}
