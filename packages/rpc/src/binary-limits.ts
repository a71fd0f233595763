// Refuses a protobuf message with too many items before it is decoded, as the JSON reader does.
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { JSON_DEPTH_MAX, JSON_VALUES_MAX } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import { itemsMaxOf } from "@muster/transcoder";

/** A smaller message cannot hold enough items to cost more than the check. */
const UNCHECKED_BYTES_MAX = 64 * 1024;

interface FieldLimits {
  readonly field: DescField;
  readonly itemsMax: number;
}

const limitsByType = new WeakMap<DescMessage, ReadonlyMap<number, FieldLimits>>();

/** Throws FIELD_INVALID or REQUEST_MALFORMED. Bytes that are no message pass, because decoding refuses them. */
export function checkBinaryLimits(desc: DescMessage, bytes: Uint8Array): void {
  if (bytes.byteLength <= UNCHECKED_BYTES_MAX) return;
  const reader = new BinaryReader(bytes);
  try {
    new Walk().message(desc, reader, reader.len, "", 0);
  } catch (error) {
    if (error instanceof AppError) throw error;
  }
}

class Walk {
  #values = 0;

  message(desc: DescMessage, reader: BinaryReader, end: number, path: string, depth: number): void {
    const fields = limitsOf(desc);
    const counts = new Map<number, number>();
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      if (++this.#values > JSON_VALUES_MAX) throw malformed(`has more than ${JSON_VALUES_MAX} values`);
      const limits = fields.get(number);
      if (limits === undefined) {
        reader.skip(wireType, number);
        continue;
      }
      const { field, itemsMax } = limits;
      const count = (counts.get(number) ?? 0) + 1;
      counts.set(number, count);
      const fieldPath = path === "" ? field.name : `${path}.${field.name}`;
      if (count > itemsMax) throw invalidField(fieldPath, `must contain no more than ${itemsMax} items`);
      if (field.message === undefined || field.fieldKind === "map" || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
        continue;
      }
      if (depth >= JSON_DEPTH_MAX) throw malformed(`is nested deeper than ${JSON_DEPTH_MAX} levels`);
      const itemPath = field.fieldKind === "list" ? `${fieldPath}[${count - 1}]` : fieldPath;
      const length = reader.uint32();
      this.message(field.message, reader, reader.pos + length, itemPath, depth + 1);
    }
  }
}

/** The fields that have a limit or contain messages. */
function limitsOf(desc: DescMessage): ReadonlyMap<number, FieldLimits> {
  let known = limitsByType.get(desc);
  if (known === undefined) {
    const limited = desc.fields
      .map((field) => ({ field, itemsMax: itemsMaxOf(field) }))
      .filter(({ field, itemsMax }) => itemsMax !== Infinity || field.message !== undefined);
    known = new Map(limited.map((limits) => [limits.field.number, limits]));
    limitsByType.set(desc, known);
  }
  return known;
}

function malformed(problem: string): AppError {
  return new AppError("REQUEST_MALFORMED", { message: `The message ${problem}.` });
}
