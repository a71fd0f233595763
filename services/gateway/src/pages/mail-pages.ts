// Serves the pages behind mail links. GET changes nothing; a form's POST calls a REST route and shows the result.
import type { IncomingHttpHeaders } from "node:http";
import { AppError } from "@muster/errors";
import type { RestResponse } from "@muster/transcoder";
import { isOwnForm } from "./form-origin.ts";
import { type Page, pages, twoFactorPage } from "./page.ts";
import { PAGE_SCRIPT, PAGE_STYLE } from "./page-assets.ts";
import { type PageForm, readForm } from "./page-form.ts";
import { donePage, formPage, type Shown } from "./page-html.ts";
import { HTML_HEADERS, type PageResponse } from "./page-response.ts";

const PREFIX = "/m/";
const ASSETS: ReadonlyMap<string, readonly [type: string, text: string]> = new Map([
  ["page.css", ["text/css; charset=utf-8", PAGE_STYLE]],
  ["page.js", ["text/javascript; charset=utf-8", PAGE_SCRIPT]],
]);

/** A form that was sent: the REST call in its place, and the page with the result. */
export interface PageCall {
  readonly url: string;
  /** Converts the form to the JSON body. Throws AppError. */
  readonly convert: (body: Uint8Array) => Uint8Array;
  readonly render: (response: RestResponse) => RestResponse;
}

export type PageRoute =
  | { readonly kind: "page"; readonly response: PageResponse }
  | { readonly kind: "call"; readonly call: PageCall }
  | { readonly kind: "wrong_method"; readonly allow: string };

export interface PageRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

/** Undefined for a path that is no page. Throws PERMISSION_DENIED for a form of another site. */
export function routeMailPage(
  { path, method, headers }: PageRequest,
  publicUrl: string | undefined,
): PageRoute | undefined {
  if (!path.startsWith(PREFIX)) return undefined;
  const name = path.slice(PREFIX.length);
  const page = pages.get(name);
  const asset = ASSETS.get(name);
  if (page === undefined && asset === undefined) return undefined;
  const verbs = page === undefined ? ["GET"] : page.isFollowUp === true ? ["POST"] : ["GET", "POST"];
  const allow = [...verbs, ...(verbs.includes("GET") ? ["HEAD"] : []), "OPTIONS"].sort().join(", ");
  if (method === "OPTIONS")
    return { kind: "page", response: { status: 204, headers: { allow }, body: undefined } };
  const verb = method === "HEAD" ? "GET" : method;
  if (!verbs.includes(verb)) return { kind: "wrong_method", allow };
  if (asset !== undefined) {
    const [type, body] = asset;
    return { kind: "page", response: { status: 200, headers: { "content-type": type }, body } };
  }
  if (page === undefined) return undefined;
  if (verb === "GET") {
    return { kind: "page", response: { status: 200, headers: HTML_HEADERS, body: formPage({ name, page }) } };
  }
  if (!isOwnForm(headers, publicUrl)) {
    throw new AppError("PERMISSION_DENIED", { message: "The form must be sent by its own page." });
  }
  return { kind: "call", call: callOf(name, page, headers["content-type"]) };
}

function callOf(name: string, page: Page, contentType: string | undefined): PageCall {
  let form: PageForm = { fields: {}, body: {} };
  return {
    url: page.action,
    convert: (body) => {
      form = readForm(page, contentType, body);
      return Buffer.from(JSON.stringify(form.body), "utf8");
    },
    render: (response) => {
      const retryAfter = response.headers["retry-after"];
      const headers =
        retryAfter === undefined ? HTML_HEADERS : { ...HTML_HEADERS, "retry-after": retryAfter };
      // A page has content, whatever the status of the route.
      const status = response.status < 400 ? 200 : response.status;
      return { ...response, status, headers, body: resultOf(name, page, form, response) };
    },
  };
}

function resultOf(name: string, page: Page, { fields }: PageForm, { status, body }: RestResponse): string {
  const json = jsonOf(body);
  if (status < 400) return donePage(page, shownOf(json));
  const details = (json.details ?? {}) as Readonly<Record<string, unknown>>;
  if (json.reason === "TWO_FACTOR_REQUIRED" && typeof details.challenge === "string") {
    return formPage({ ...twoFactorPage, filled: { challenge: details.challenge } });
  }
  return formPage({ name, page, filled: fields, problem: problemOf(json) });
}

function jsonOf(body: RestResponse["body"]): Readonly<Record<string, unknown>> {
  const text = typeof body === "string" ? body : Buffer.from(body ?? []).toString("utf8");
  return text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
}

/** The parts of a response that the person needs. */
function shownOf(json: Readonly<Record<string, unknown>>): Shown[] {
  const labels = { access_token: "Access token", refresh_token: "Refresh token", effective_time: "Time" };
  return Object.entries(labels).flatMap(([name, label]) => {
    const value = json[name];
    return typeof value === "string" && value !== "" ? [{ label, value }] : [];
  });
}

const INVALID_LINK =
  "This link is no longer valid: it was used, has expired, or was replaced. Request a new mail.";

function problemOf({ reason, message }: Readonly<Record<string, unknown>>): string {
  if (reason === "TOKEN_INVALID") return INVALID_LINK;
  return typeof message === "string" ? message : "The request failed.";
}
