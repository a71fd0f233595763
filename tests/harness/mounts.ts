// Calls unary methods over REST, gRPC and Connect, so that a test runs the same steps on every mount.
import {
  create,
  type DescMethodUnary,
  type DescService,
  fromJson,
  getOption,
  type MessageInitShape,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { ConnectError, createClient as createConnectClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";
import { http } from "@muster/contracts/google/api/annotations_pb";
import { ErrorInfoSchema } from "@muster/contracts/google/rpc/error_details_pb";
import { AppError } from "@muster/errors";
import { createClient, grpcCaller } from "@muster/rpc";
import type { Installation } from "./installation.ts";

/** What a mount reports of a refused call. */
export class MountRefusal extends Error {
  readonly reason: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(reason: string, details: Readonly<Record<string, string>>) {
    super(reason);
    this.reason = reason;
    this.details = details;
  }
}

export interface Mount {
  readonly name: string;
  /** Rejects with a {@link MountRefusal}. */
  call<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M["input"]>,
    accessToken?: string,
  ): Promise<MessageShape<M["output"]>>;
}

type AnyClient = Readonly<Record<string, (request: object, options?: object) => Promise<unknown>>>;

export function restMount({ url }: Installation): Mount {
  return {
    name: "REST",
    async call(method, request, accessToken) {
      const { pattern, responseBody } = getOption(method, http);
      if (pattern.case === undefined || pattern.case === "custom")
        throw new Error(`no route for ${method.name}`);
      const message = create(method.input, request);
      const isGet = pattern.case === "get";
      const response = await fetch(url + pattern.value, {
        method: pattern.case.toUpperCase(),
        headers: { "content-type": "application/json", ...headersOf(accessToken) },
        ...(isGet
          ? {}
          : { body: JSON.stringify(toJson(method.input, message, { useProtoFieldName: true })) }),
      });
      const text = await response.text();
      const body = text === "" ? {} : JSON.parse(text);
      if (!response.ok) throw new MountRefusal(body.reason, body.details);
      return fromJson(method.output, responseBody === "" ? body : { [responseBody]: body }) as never;
    },
  };
}

export function grpcMount({ eventsAddress, variables }: Installation): Mount {
  const address = variables.MUSTER_IDENTITY_ADDRESS ?? eventsAddress;
  return {
    name: "gRPC",
    async call(method, request, accessToken) {
      const caller = grpcCaller({ address });
      const client = createClient(method.parent as DescService, caller, {
        headers: new Map(Object.entries(headersOf(accessToken))),
      }) as unknown as AnyClient;
      try {
        return (await client[method.localName]?.(create(method.input, request))) as never;
      } catch (error) {
        throw error instanceof AppError ? new MountRefusal(error.reason, error.details) : error;
      } finally {
        caller.close();
      }
    },
  };
}

export function connectMount({ url }: Installation): Mount {
  const transport = createConnectTransport({ baseUrl: url });
  return {
    name: "Connect",
    async call(method, request, accessToken) {
      const client = createConnectClient(method.parent, transport) as unknown as AnyClient;
      try {
        const options = { headers: headersOf(accessToken) };
        return (await client[method.localName]?.(create(method.input, request), options)) as never;
      } catch (error) {
        const [info] = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema) : [];
        throw info === undefined ? error : new MountRefusal(info.reason, info.metadata);
      }
    },
  };
}

function headersOf(accessToken: string | undefined): Record<string, string> {
  return accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` };
}
