// Reads a request's path and id, and removes headers that only Muster's own parts may set.
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { AppError } from "@muster/errors";
import { CONSISTENCY, REQUEST_ID, requestIdFrom } from "@muster/rpc";
import type { HttpLimits } from "./limits.ts";

const INTERNAL_PREFIX = "muster-";
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/i;

/** The client's request id if it is well formed, else a new id; sets the header to the result. */
export function adoptRequestId(headers: IncomingHttpHeaders, newRequestId: () => string): string {
  const given = headers[REQUEST_ID];
  const id = requestIdFrom(new Map(typeof given === "string" ? [[REQUEST_ID, given]] : [])) ?? newRequestId();
  headers[REQUEST_ID] = id;
  return id;
}

/** Removes metadata that clients could pass off as Muster's own. */
export function stripInternals(headers: IncomingHttpHeaders): void {
  for (const name of Object.keys(headers)) {
    if (name.startsWith(INTERNAL_PREFIX) && name !== CONSISTENCY) delete headers[name];
  }
}

/** Headers that occur at most once. A second one might be what a proxy in front went by. */
const SINGLE_HEADERS = new Set(["host", "authorization", "content-type"]);
const HOST_FORM = /^(?:\[[0-9a-f:.]+\]|[\w.~%!$&'()*+,;=-]*)(?::\d{0,5})?$/i;

/** Throws for headers that make the request ambiguous. */
function checkHeaders({ rawHeaders, headers, httpVersion }: IncomingMessage): void {
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? "";
    if (!SINGLE_HEADERS.has(name)) continue;
    if (seen.has(name)) {
      throw new AppError("REQUEST_MALFORMED", { message: `The ${name} header is given more than once.` });
    }
    seen.add(name);
  }
  if (headers.host === undefined) {
    if (httpVersion !== "1.1") return;
    throw new AppError("REQUEST_MALFORMED", { message: "The Host header is missing." });
  }
  if (!HOST_FORM.test(headers.host)) {
    throw new AppError("REQUEST_MALFORMED", { message: "The Host header is malformed." });
  }
}

/** Path and query. An absolute target replaces the Host header, as RFC 9112 requires. */
export function targetOf(request: IncomingMessage, limits: HttpLimits): string {
  const target = request.url ?? "/";
  if (target.length > limits.urlBytesMax)
    throw new AppError("TOO_LARGE", { message: "The URL is too long." });
  const absolute = ABSOLUTE_FORM.exec(target);
  if (absolute !== null) {
    request.headers.host = absolute[1] ?? "";
    const rest = absolute[2] ?? "";
    request.url = rest.startsWith("/") ? rest : `/${rest}`;
  }
  checkHeaders(request);
  return request.url ?? "/";
}

export function pathOf(target: string): string {
  const queryStart = target.indexOf("?");
  return queryStart < 0 ? target : target.slice(0, queryStart);
}
