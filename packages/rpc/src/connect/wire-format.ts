// Recognizes the protocol and encoding of a Connect or gRPC-Web request by its content type.
import type { DescMethod } from "@bufbuild/protobuf";

/** "unary" and "stream" are the two forms of the Connect protocol. */
export type Protocol = "unary" | "stream" | "grpc-web";
export type Codec = "json" | "proto";

export interface WireFormat {
  readonly protocol: Protocol;
  readonly codec: Codec;
}

const UNARY = /^application\/(json|proto)$/;
const STREAM = /^application\/connect\+(json|proto)$/;
const GRPC_WEB = /^application\/grpc-web(?:\+(json|proto))?$/;
/** The only parameter that a content type may have. */
const UTF8 = /^\s*charset\s*=\s*"?utf-?8"?\s*$/i;

/** Undefined for a content type that no protocol of the HTTP port has. */
export function formatOf(contentType: string | undefined): WireFormat | undefined {
  const [type = "", ...parameters] = (contentType ?? "").split(";");
  if (parameters.length > 1 || parameters.some((parameter) => !UTF8.test(parameter))) return undefined;
  const name = type.trim().toLowerCase();
  const unary = UNARY.exec(name);
  if (unary !== null) return { protocol: "unary", codec: unary[1] as Codec };
  const stream = STREAM.exec(name);
  if (stream !== null) return { protocol: "stream", codec: stream[1] as Codec };
  const grpcWeb = GRPC_WEB.exec(name);
  return grpcWeb === null ? undefined : { protocol: "grpc-web", codec: (grpcWeb[1] ?? "proto") as Codec };
}

/** gRPC-Web has one form for every method; Connect has a form of its own for streams. */
export function fits({ protocol }: WireFormat, method: DescMethod): boolean {
  return protocol === "grpc-web" || (protocol === "unary") === (method.methodKind === "unary");
}

/** The content type of the response. */
export function contentTypeOf({ protocol, codec }: WireFormat): string {
  switch (protocol) {
    case "unary":
      return `application/${codec}`;
    case "stream":
      return `application/connect+${codec}`;
    case "grpc-web":
      return `application/grpc-web+${codec}`;
  }
}
