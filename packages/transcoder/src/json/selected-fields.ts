// Writes a response with only the fields of its resources that the request selects.
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { MessageCodecs } from "./message-codec.ts";
import type { LocalMessage } from "./value-codec.ts";

/**
 * JSON text of the response, or of its field that is the HTTP body. The resources are the items of the lists of
 * messages, or the message of the field. The other fields, such as the token of the next page, stay whole.
 */
export function encodeSelected(
  codecs: MessageCodecs,
  output: DescMessage,
  body: DescField | undefined,
  message: LocalMessage,
  paths: readonly string[],
): string {
  const selected = new Set(paths);
  const encode = (desc: DescMessage, resource: unknown): string =>
    codecs.message(desc).encodeFields(resource as LocalMessage, (name) => selected.has(name));
  if (body !== undefined) {
    if (body.fieldKind !== "message") throw new Error("fields_field: the response has no resource");
    return encode(body.message, message[body.localName]);
  }
  const parts = output.fields.map((field) => {
    const text =
      field.fieldKind === "list" && field.listKind === "message"
        ? `[${(message[field.localName] as unknown[]).map((item) => encode(field.message, item)).join(",")}]`
        : codecs.message(output).reader(field.name)?.write(message);
    return `${JSON.stringify(field.name)}:${text}`;
  });
  return `{${parts.join(",")}}`;
}
