// Decides whether a request without credentials may act for the demo organization. Only programs on the same
// machine may, never a page open in a local browser.

export interface DemoRequest {
  /** Remote address of the TCP connection. */
  readonly remoteAddress: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

const LOOPBACK_ADDRESS = /^(?:::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/;
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
const ORIGIN = /^https?:\/\/(localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/i;
/** Headers by which proxies report that they forwarded the request. */
const PROXY_HEADER =
  /^(?:forwarded|via|x-forwarded(?:-.*)?|x-original-.*|(?:.*-)?(?:real|client|connecting)-ip|x-proxyuser-ip)$/;
const SAME_SITE = new Set(["same-origin", "same-site", "none"]);

export function mayActAsDemo({ remoteAddress, headers }: DemoRequest): boolean {
  if (remoteAddress !== "::1" && !LOOPBACK_ADDRESS.test(remoteAddress ?? "")) return false;
  if (Object.keys(headers).some((name) => PROXY_HEADER.test(name))) return false;
  // Rejects host names that were rebound to this machine.
  const host = LOOPBACK_HOST.exec(textOf(headers.host))?.[1];
  if (host === undefined) return false;
  if (headers.origin !== undefined) {
    const origin = ORIGIN.exec(textOf(headers.origin))?.[1];
    if (origin?.toLowerCase() !== host.toLowerCase()) return false;
  }
  const site = headers["sec-fetch-site"];
  return site === undefined || SAME_SITE.has(textOf(site));
}

function textOf(value: string | readonly string[] | undefined): string {
  return typeof value === "string" ? value : "";
}
