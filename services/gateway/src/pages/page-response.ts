// Declares responses with HTML pages: nothing of another origin is loaded, and no other page may embed them.
import type { RestResponse } from "@muster/transcoder";

export type PageResponse = Pick<RestResponse, "status" | "headers" | "body">;

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const HTML_HEADERS: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-language": "en",
  "content-security-policy": CSP,
  "cross-origin-opener-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-frame-options": "DENY",
};
