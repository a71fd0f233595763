// Recognizes Connect and gRPC-Web requests by path. Requests that the protocols would refuse without an error
// message are refused here with the error envelope.
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf";
import { policy } from "@muster/contracts/muster/options/v1/options_pb";
import { AppError } from "@muster/errors";

const GRPC_WEB = /^application\/grpc-web(?:\+(?:proto|json))?(?:\s*;|$)/i;
const CONNECT_UNARY = /^application\/(?:proto|json)(?:\s*;|$)/i;
const CONNECT_STREAM = /^application\/connect\+(?:proto|json)(?:\s*;|$)/i;

export class RpcPaths {
  readonly #methods = new Map<string, DescMethod>();

  /** Internal methods have no path here. */
  constructor(services: readonly DescService[]) {
    for (const method of services.flatMap((service) => service.methods)) {
      if (getOption(method, policy).internal) continue;
      this.#methods.set(`/${method.parent.typeName}/${method.name}`, method);
    }
  }

  find(path: string): DescMethod | undefined {
    return this.#methods.get(path);
  }
}

/** Adds a deadline to a unary call without one, in the header of its protocol. */
export function limitDeadline(
  method: DescMethod,
  headers: Record<string, string | string[] | undefined>,
  defaultMs: number,
): void {
  if (method.methodKind !== "unary") return;
  const deadlineMs = getOption(method, policy).deadlineSeconds * 1000 || defaultMs;
  const contentType = headers["content-type"];
  if (typeof contentType === "string" && GRPC_WEB.test(contentType))
    headers["grpc-timeout"] ??= `${deadlineMs}m`;
  else headers["connect-timeout-ms"] ??= String(deadlineMs);
}

/** Throws for a request that this port cannot serve. */
export function checkRpcRequest(method: DescMethod, contentType = ""): void {
  const connect = method.methodKind === "unary" ? CONNECT_UNARY : CONNECT_STREAM;
  if (!connect.test(contentType) && !GRPC_WEB.test(contentType)) {
    throw new AppError("MEDIA_TYPE_UNSUPPORTED", {
      message: "This path speaks Connect and gRPC-Web; gRPC itself has a port of its own.",
    });
  }
  if (method.methodKind !== "unary" && method.methodKind !== "server_streaming") {
    throw new AppError("UNIMPLEMENTED", {
      message: "A stream of requests needs HTTP/2: call this method on the gRPC port.",
    });
  }
}
