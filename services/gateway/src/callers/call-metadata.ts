// Makes the metadata with which the gateway calls services for a client.
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { type DescMethod, getOption } from "@bufbuild/protobuf";
import { rest } from "@muster/contracts/muster/options/v1/options_pb";
import {
  AUTHORIZATION,
  clientMetadata,
  REQUEST_ID,
  readsCredential,
  SERVICE_TOKEN,
  type TrustedProxies,
  userAgentOf,
} from "@muster/rpc";
import { headerOf } from "./header-of.ts";

export interface CallMetadataDeps {
  /** The gateway's service token, which acts for the demo organization where the request may. */
  readonly tokenFor: (request: IncomingMessage) => string;
  readonly proxies: TrustedProxies;
}

/** The gateway's own metadata for the method's service. */
export function metadataOf(
  request: IncomingMessage,
  requestId: string,
  { tokenFor, proxies }: CallMetadataDeps,
): Map<string, string> {
  const { headers, socket } = request;
  const address = proxies.clientAddressOf(socket.remoteAddress, headerOf(headers, "x-forwarded-for"));
  return new Map([
    [REQUEST_ID, requestId],
    [SERVICE_TOKEN, tokenFor(request)],
    ...clientMetadata({ address, userAgent: userAgentOf(headers["user-agent"]) }),
  ]);
}

/** The metadata with the client's credentials: Authorization, and the headers that the method names. */
export function withCredentials(
  metadata: ReadonlyMap<string, string>,
  method: DescMethod,
  headers: IncomingHttpHeaders,
): Map<string, string> {
  const credentials = new Map(metadata);
  for (const name of [AUTHORIZATION, ...getOption(method, rest).requestHeaders]) {
    const value = headerOf(headers, name);
    if (value !== undefined && !credentials.has(name)) credentials.set(name, value);
  }
  return credentials;
}

/** Whether the header is withheld from the method. */
export function isIgnored(method: DescMethod | undefined, header: string): boolean {
  return header === AUTHORIZATION && method !== undefined && !readsCredential(method);
}
