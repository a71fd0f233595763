// Prints descriptors as text for review: one line per message, field, enum value, service and method, with every option.

import {
  createRegistry,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  type DescService,
  type Message,
  type Registry,
  toJson,
} from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import {
  EnumOptionsSchema,
  EnumValueOptionsSchema,
  FieldOptionsSchema,
  MessageOptionsSchema,
  MethodOptionsSchema,
  OneofOptionsSchema,
  ServiceOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { file_google_api_annotations } from "@muster/contracts/google/api/annotations_pb";

/** Text per proto package. */
export function describeContracts(files: readonly DescFile[]): Map<string, string> {
  const registry = createRegistry(...files, file_buf_validate_validate, file_google_api_annotations);
  const texts = new Map<string, string>();
  for (const file of files.toSorted((left, right) => compare(left.name, right.name))) {
    const lines = [`file ${file.name}.proto`];
    lines.push(...file.enums.flatMap((each) => enumLines(each, registry)));
    lines.push(...file.messages.flatMap((each) => messageLines(each, registry)));
    lines.push(
      ...file.extensions.map((each) => `extend ${each.extendee.typeName} ${each.name} = ${each.number}`),
    );
    lines.push(...file.services.flatMap((each) => serviceLines(each, registry)));
    const name = file.proto.package;
    texts.set(name, `${texts.get(name) ?? ""}${lines.map((line) => `${line}\n`).join("")}\n`);
  }
  return texts;
}

function enumLines(desc: DescEnum, registry: Registry): string[] {
  const options = optionsOf(EnumOptionsSchema, desc.proto.options, registry);
  const values = desc.values.map(
    ({ name, number, proto }) =>
      `  ${name} = ${number}${optionsOf(EnumValueOptionsSchema, proto.options, registry)}`,
  );
  return [`enum ${desc.typeName}${options}`, ...values];
}

function messageLines(desc: DescMessage, registry: Registry): string[] {
  const options = optionsOf(MessageOptionsSchema, desc.proto.options, registry);
  return [
    `message ${desc.typeName}${options}`,
    ...desc.oneofs.map((oneof) => oneofLine(oneof, registry)),
    ...desc.fields.map((field) => fieldLine(field, registry)),
    ...desc.proto.reservedRange.map(({ start, end }) => `  reserved ${start} to ${end - 1}`),
    ...desc.proto.reservedName.map((name) => `  reserved "${name}"`),
    ...desc.nestedEnums.flatMap((each) => enumLines(each, registry)),
    ...desc.nestedMessages.flatMap((each) => messageLines(each, registry)),
  ];
}

function oneofLine(desc: DescOneof, registry: Registry): string {
  return `  oneof ${desc.name}${optionsOf(OneofOptionsSchema, desc.proto.options, registry)}`;
}

function fieldLine(desc: DescField, registry: Registry): string {
  const type = desc.proto.typeName === "" ? SCALARS[desc.proto.type] : desc.proto.typeName.slice(1);
  const label =
    desc.fieldKind === "list" || desc.fieldKind === "map"
      ? "repeated "
      : desc.proto.proto3Optional
        ? "optional "
        : "";
  const oneof = desc.oneof === undefined ? "" : ` in ${desc.oneof.name}`;
  return `  ${label}${type} ${desc.name} = ${desc.number} json=${desc.jsonName}${oneof}${optionsOf(FieldOptionsSchema, desc.proto.options, registry)}`;
}

function serviceLines(desc: DescService, registry: Registry): string[] {
  const options = optionsOf(ServiceOptionsSchema, desc.proto.options, registry);
  return [
    `service ${desc.typeName}${options}`,
    ...desc.methods.map((method) => methodLine(method, registry)),
  ];
}

function methodLine(desc: DescMethod, registry: Registry): string {
  const options = optionsOf(MethodOptionsSchema, desc.proto.options, registry);
  return `  ${desc.methodKind} ${desc.name}(${desc.input.typeName}) -> ${desc.output.typeName}${options}`;
}

function optionsOf<T extends Message>(
  schema: GenMessage<T>,
  options: T | undefined,
  registry: Registry,
): string {
  if (options === undefined) return "";
  const text = JSON.stringify(toJson(schema, options, { registry }));
  return text === "{}" ? "" : ` ${text}`;
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Names of google.protobuf.FieldDescriptorProto.Type by number. */
const SCALARS: readonly string[] = [
  ...["", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group"],
  ...["message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"],
];
