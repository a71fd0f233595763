// Makes the metadata with which the gateway calls services for a client.
import type { IncomingMessage } from "node:http";
import type { DescMethod } from "@bufbuild/protobuf";
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

/** The metadata with the client's credentials. */
export function withCredentials(
  metadata: ReadonlyMap<string, string>,
  authorization: string | undefined,
): Map<string, string> {
  const credentials = new Map(metadata);
  if (authorization !== undefined) credentials.set(AUTHORIZATION, authorization);
  return credentials;
}

/** Whether the header is withheld from the method. */
export function isIgnored(method: DescMethod | undefined, header: string): boolean {
  return header === AUTHORIZATION && method !== undefined && !readsCredential(method);
}
