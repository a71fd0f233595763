// Reads and checks the muster.options.v1.field option of a field, and the limit of a list or map.
import { create, type DescField, getOption, hasOption } from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { DateBound, field as fieldOption } from "@muster/contracts/muster/options/v1/options_pb";
import type { DecodeError } from "./decode-error.ts";
import type { LocalMessage } from "./value-codec.ts";

const ITEM_ERROR = "muster.errors.v1.ItemError";

/** Reports an unreadable item of a list whose option accepts the other items. */
export interface ItemErrors {
  /** Records the error in the sibling field and returns the empty item for its position. */
  report(message: LocalMessage, index: number, error: DecodeError): unknown;
}

export interface FieldOptions {
  readonly rawJson: boolean;
  readonly commaList: boolean;
  /** Which end of a day a bare date means; undefined where a bare date is not taken. */
  readonly bareDate: "start" | "end" | undefined;
  readonly itemErrorsField: ItemErrors | undefined;
  readonly jsonNumber: boolean;
  /** An empty list is left out of a message that is written. */
  readonly omitEmpty: boolean;
  /** Items of a list or map: a longer one is refused before its items are decoded. */
  readonly itemsMax: number;
}

const none: FieldOptions = {
  rawJson: false,
  commaList: false,
  bareDate: undefined,
  itemErrorsField: undefined,
  jsonNumber: false,
  omitEmpty: false,
  itemsMax: Infinity,
};

export function fieldOptions(field: DescField): FieldOptions {
  const itemsMax = itemsMaxOf(field);
  if (!hasOption(field, fieldOption)) return itemsMax === Infinity ? none : { ...none, itemsMax };
  const policy = getOption(field, fieldOption);
  const bounds = { [DateBound.START]: "start", [DateBound.END]: "end" } as const;
  return {
    rawJson: policy.rawJson,
    commaList: policy.commaList,
    bareDate: bounds[policy.bareDate as keyof typeof bounds],
    itemErrorsField: policy.itemErrorsField === "" ? undefined : itemErrors(field, policy.itemErrorsField),
    jsonNumber: policy.jsonNumber,
    omitEmpty: policy.omitEmpty,
    itemsMax,
  };
}

/** Generated clients write every field as ProtoJSON, so only the limit applies. */
export function protoJsonOptions(field: DescField): FieldOptions {
  return { ...none, itemsMax: itemsMaxOf(field) };
}

/** The limit in the field's own option or in its buf.validate rules; Infinity without a limit. */
export function itemsMaxOf(field: DescField): number {
  const own = hasOption(field, fieldOption) ? getOption(field, fieldOption).itemsMax : 0;
  if (own !== 0 || !hasOption(field, fieldRules)) return own || Infinity;
  const { type } = getOption(field, fieldRules);
  if (type.case === "repeated") return Number(type.value.maxItems) || Infinity;
  if (type.case === "map") return Number(type.value.maxPairs) || Infinity;
  return Infinity;
}

/** The text field of a request that the If-Match header fills. */
export const IF_MATCH_FIELD = "if_match";

/** The bytes field of a request that receives the whole body. */
export const RAW_BODY_FIELD = "raw_body";

/** Fields that only the transcoder fills: a client's JSON must not. */
export function filledByTranscoder(fields: readonly DescField[]): ReadonlySet<string> {
  const names = fields.map((field) =>
    hasOption(field, fieldOption) ? getOption(field, fieldOption).itemErrorsField : "",
  );
  return new Set([...names.filter((name) => name !== ""), IF_MATCH_FIELD, RAW_BODY_FIELD]);
}

function itemErrors(field: DescField, siblingName: string): ItemErrors {
  const sibling = field.parent.fields.find((candidate) => candidate.name === siblingName);
  const where = `${field.parent.typeName}.${field.name}`;
  if (field.fieldKind !== "list" || field.message === undefined) {
    throw new Error(`${where}: item_errors_field is for repeated messages`);
  }
  if (sibling?.fieldKind !== "list" || sibling.message?.typeName !== ITEM_ERROR) {
    throw new Error(`${where}: ${siblingName} is no repeated ${ITEM_ERROR}`);
  }
  const { message: item } = field;
  const { message: problem, localName } = sibling;
  return {
    report(message: LocalMessage, index: number, error: DecodeError): unknown {
      const problems = message[localName] as unknown[];
      problems.push(Object.assign(create(problem), { index, field: error.path, message: error.message }));
      return create(item);
    },
  };
}
