// Reads which fields of members a response has: `fields` and `include`.
import { MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import { requireNames } from "@muster/list-queries";

const INCLUDABLE = ["orgs", "roles"] as const;
export type Included = (typeof INCLUDABLE)[number];

/** What `fields` selects; `include` adds the others. */
export const SELECTABLE = MemberSchema.fields.filter(({ name }) => !isIncludable(name));

/** FIELD_INVALID with a position for anything but `orgs` and `roles`. */
export function includedFields(include: readonly string[]): readonly Included[] {
  requireNames("include", include, INCLUDABLE);
  return include.filter(isIncludable);
}

function isIncludable(name: string): name is Included {
  return (INCLUDABLE as readonly string[]).includes(name);
}
