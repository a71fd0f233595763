// Reads which fields of members a list returns: `fields` and `include`.
import { clearField } from "@bufbuild/protobuf";
import type { FieldMask } from "@bufbuild/protobuf/wkt";
import { type Member, MemberSchema } from "@muster/contracts/muster/identity/v1/member_pb";
import { codePointsBefore, queryError } from "@muster/list-queries";

const INCLUDABLE = ["orgs", "roles"] as const;
export type Included = (typeof INCLUDABLE)[number];

const SELECTABLE = MemberSchema.fields.filter(({ name }) => !isIncludable(name));

/** FIELD_INVALID with a position for a field that members do not have. Empty for every field. */
export function selectedFields(mask: FieldMask | undefined): readonly string[] {
  const paths = mask?.paths ?? [];
  const names = SELECTABLE.map(({ name }) => name);
  requireNames("fields", paths, names);
  return paths;
}

/** FIELD_INVALID with a position for anything but `orgs` and `roles`. */
export function includedFields(include: readonly string[]): readonly Included[] {
  requireNames("include", include, INCLUDABLE);
  return include.filter(isIncludable);
}

/** Clears the fields that are not selected, so that they leave the service on no mount. */
export function clearUnselected(member: Member, selected: readonly string[]): Member {
  if (selected.length === 0) return member;
  for (const field of SELECTABLE) {
    if (!selected.includes(field.name)) clearField(member, field);
  }
  return member;
}

function requireNames(argument: string, given: readonly string[], known: readonly string[]): void {
  const text = given.join(",");
  let index = 0;
  for (const name of given) {
    if (!known.includes(name)) {
      throw queryError(argument, `takes only ${known.join(", ")}`, codePointsBefore(text, index));
    }
    index += name.length + 1;
  }
}

function isIncludable(name: string): name is Included {
  return (INCLUDABLE as readonly string[]).includes(name);
}
