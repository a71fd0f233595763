// Reads the form of a page: the fields of the JSON body for the REST route.
import { AppError } from "@muster/errors";
import type { Page } from "./page.ts";

export interface PageForm {
  /** By the names of the form. */
  readonly fields: Readonly<Record<string, string>>;
  /** As the REST route takes the fields. */
  readonly body: Readonly<Record<string, string>>;
}

const FORM_TYPE = /^application\/x-www-form-urlencoded(?:\s*;|$)/i;
const FRAGMENT = "#token=";

/** Throws MEDIA_TYPE_UNSUPPORTED or REQUEST_MALFORMED. Unknown fields are ignored. */
export function readForm(page: Page, contentType: string | undefined, body: Uint8Array): PageForm {
  if (!FORM_TYPE.test(contentType ?? "")) {
    throw new AppError("MEDIA_TYPE_UNSUPPORTED", { message: "Send the form of the page." });
  }
  const form = new URLSearchParams(textOf(body));
  const names = page.isFollowUp === true ? ["challenge", "code"] : ["token"];
  if (page.isRegistration === true) names.push("email", "name");
  if (page.hasPassword === true) names.push("password");
  const fields: Record<string, string> = {};
  for (const name of names) {
    const values = form.getAll(name);
    if (values.length > 1) throw malformed(`The field ${name} is given more than once.`);
    const value = values[0] ?? "";
    fields[name] = name === "token" ? tokenOf(value) : value;
  }
  return { fields, body: bodyOf(page, fields) };
}

function bodyOf(page: Page, fields: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  if (page.isRegistration !== true) return fields;
  const { token = "", ...registration } = fields;
  return { ...registration, invitation_token: token };
}

/** The field takes the token, or the whole link of the mail. */
function tokenOf(text: string): string {
  const trimmed = text.trim();
  const start = trimmed.lastIndexOf(FRAGMENT);
  if (start < 0) return trimmed;
  try {
    return decodeURIComponent(trimmed.slice(start + FRAGMENT.length));
  } catch {
    return trimmed;
  }
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw malformed("The form is not UTF-8.");
  }
}

function malformed(message: string): AppError {
  return new AppError("REQUEST_MALFORMED", { message });
}
