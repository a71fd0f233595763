// Serves server reflection, v1 and v1alpha, from the descriptors in memory. Needs no credentials.
import {
  create,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details } from "@muster/contracts/google/rpc/error_details_pb";
import { file_google_rpc_status } from "@muster/contracts/google/rpc/status_pb";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from "@muster/contracts/grpc/reflection/v1/reflection_pb";
import { ServerReflection as ServerReflectionAlpha } from "@muster/contracts/grpc/reflection/v1alpha/reflection_pb";
import { AppError } from "@muster/errors";
import type { CallOptions, StreamResponse, UnaryResponse } from "../caller.ts";
import type { LazyCaller } from "../dispatcher/dispatcher.ts";

const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const NOT_FOUND = 5;
const INVALID_ARGUMENT = 3;

type Response = MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"];

export class ReflectionService implements LazyCaller {
  /** Both versions have the same messages, field for field. */
  readonly services: readonly DescService[] = [ServerReflection, ServerReflectionAlpha];
  readonly #serviceNames: readonly string[];
  readonly #files = new Map<string, DescFile>();
  readonly #symbols = new Map<string, DescFile>();
  /** By extended message, then by extension number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();

  constructor(services: readonly DescService[]) {
    const all = [...services, ...this.services];
    this.#serviceNames = all.map((service) => service.typeName).sort();
    for (const service of all) this.#addFile(service.file);
    // The details of every error, which no service imports.
    for (const file of [file_google_rpc_error_details, file_google_rpc_status]) this.#addFile(file);
  }

  async unary(): Promise<UnaryResponse> {
    throw new AppError("UNIMPLEMENTED");
  }

  async unaryLazy(): Promise<UnaryResponse> {
    throw new AppError("UNIMPLEMENTED");
  }

  stream(method: DescMethod, requests: AsyncIterable<Message>, _options: CallOptions): StreamResponse {
    return { messages: this.#responses(method.output, requests), headers: NO_HEADERS };
  }

  async *#responses(output: DescMessage, requests: AsyncIterable<Message>): AsyncIterable<Message> {
    const sent = new Set<DescFile>();
    for await (const message of requests) {
      const originalRequest = message as ServerReflectionRequest;
      const messageResponse = this.#response(originalRequest, sent);
      yield create(output, { validHost: originalRequest.host, originalRequest, messageResponse });
    }
  }

  #response({ messageRequest: requested }: ServerReflectionRequest, sent: Set<DescFile>): Response {
    switch (requested.case) {
      case "listServices":
        return {
          case: "listServicesResponse",
          value: { service: this.#serviceNames.map((name) => ({ name })) },
        };
      case "fileByFilename":
        return fileResponse(this.#files.get(requested.value), requested.value, sent);
      case "fileContainingSymbol":
        return fileResponse(this.#symbols.get(requested.value.replace(/^\./, "")), requested.value, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = requested.value;
        const file = this.#extensions.get(containingType)?.get(extensionNumber);
        return fileResponse(file, `${containingType} ${extensionNumber}`, sent);
      }
      case "allExtensionNumbersOfType": {
        const numbers = this.#extensions.get(requested.value);
        if (numbers === undefined && !this.#symbols.has(requested.value)) return notFound(requested.value);
        return {
          case: "allExtensionNumbersResponse",
          value: { baseTypeName: requested.value, extensionNumber: [...(numbers?.keys() ?? [])] },
        };
      }
      default:
        return {
          case: "errorResponse",
          value: { errorCode: INVALID_ARGUMENT, errorMessage: "the request asks nothing" },
        };
    }
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const dependency of file.dependencies) this.#addFile(dependency);
    for (const type of nestedTypes(file)) {
      this.#symbols.set(type.typeName, file);
      if (type.kind === "extension") this.#addExtension(type.extendee.typeName, type.number, file);
      if (type.kind === "message") {
        for (const field of type.fields) this.#symbols.set(`${type.typeName}.${field.name}`, file);
      }
      if (type.kind === "service") {
        for (const method of type.methods) this.#symbols.set(`${type.typeName}.${method.name}`, file);
      }
    }
  }

  #addExtension(extendee: string, number: number, file: DescFile): void {
    const numbers = this.#extensions.get(extendee) ?? new Map<number, DescFile>();
    this.#extensions.set(extendee, numbers.set(number, file));
  }
}

/** The file and all its imports, except the files already sent on this stream. */
function fileResponse(file: DescFile | undefined, requested: string, sent: Set<DescFile>): Response {
  if (file === undefined) return notFound(requested);
  const files: DescFile[] = [];
  const add = (one: DescFile): void => {
    if (sent.has(one) || files.includes(one)) return;
    files.push(one);
    for (const dependency of one.dependencies) add(dependency);
  };
  add(file);
  // A repeated request receives the file itself again.
  if (files.length === 0) files.push(file);
  for (const one of files) sent.add(one);
  return {
    case: "fileDescriptorResponse",
    value: { fileDescriptorProto: files.map((one) => toBinary(FileDescriptorProtoSchema, one.proto)) },
  };
}

function notFound(requested: string): Response {
  return { case: "errorResponse", value: { errorCode: NOT_FOUND, errorMessage: `not found: ${requested}` } };
}
