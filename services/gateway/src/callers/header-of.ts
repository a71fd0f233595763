// Reads a header of a request.
import type { IncomingHttpHeaders } from "node:http";

/** A header that occurs at most once in HTTP. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}
