// Carries the client's address and user agent from the gateway to the services.

/** The client of a call: the program of a person or customer, wherever the call entered the installation. */
export interface ClientInfo {
  /** In canonical form; empty for calls within the installation. */
  readonly address: string;
  /** Visible ASCII characters and blanks, at most 255; empty where none was sent. */
  readonly userAgent: string;
}

export const CLIENT_ADDRESS = "muster-client-address";
export const CLIENT_USER_AGENT = "muster-client-user-agent";
const USER_AGENT_CHARS_MAX = 255;

/** Metadata of the client. The receiver accepts it only with the gateway's service token. */
export function clientMetadata(client: ClientInfo): [string, string][] {
  const metadata: [string, string][] = [];
  if (client.address !== "") metadata.push([CLIENT_ADDRESS, client.address]);
  if (client.userAgent !== "") metadata.push([CLIENT_USER_AGENT, client.userAgent]);
  return metadata;
}

/** A User-Agent header without the characters that could break a log, a mail or a page's line. */
export function userAgentOf(header: string | undefined): string {
  const visible = (header ?? "").slice(0, USER_AGENT_CHARS_MAX).replace(/[^\x20-\x7e]/g, "?");
  return visible.trim();
}
