// Decides whether a form was sent by a page of the gateway's own origin.
import type { IncomingHttpHeaders } from "node:http";

/**
 * The form consumes only what was typed, so a form of another site gains nothing; it is refused all the same. Under
 * `Referrer-Policy: no-referrer`, browsers send `Origin: null`, and Sec-Fetch-Site decides. Browsers omit
 * Sec-Fetch-Site for addresses without TLS.
 */
export function isOwnForm(headers: IncomingHttpHeaders, publicUrl: string | undefined): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== undefined && site !== "same-origin" && site !== "none") return false;
  const { origin, host } = headers;
  if (origin === undefined || origin === "null") return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  // A proxy that ends TLS passes the host on, but not the scheme.
  return (
    url.host === host?.toLowerCase() || (publicUrl !== undefined && url.origin === new URL(publicUrl).origin)
  );
}
