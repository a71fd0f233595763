// Renders a mail as subject, text and HTML in the language of its recipient. Pure.
import { assert } from "@muster/core";
import { plainAddress, plainClient, plainEmail, plainName, plainTime } from "./plain-values.ts";
import { type MailKind, type MailValues, mailKinds } from "./texts/mail-kind.ts";
import { languageOf, texts } from "./texts/texts.ts";

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

export interface MailContent<K extends MailKind = MailKind> {
  readonly kind: K;
  /** Locale of the recipient, such as `de-AT`. */
  readonly locale: string | undefined;
  readonly values: MailValues[K];
}

interface Link {
  readonly label: string;
  readonly url: string;
}

const LINK = "{link}";
const TOKEN_FORM = /^[\x21-\x7e]{1,1024}$/;
const CODE_FORM = /^\d{6}$/;

/** `publicUrl` begins every link; nothing of a request does. */
export function renderMail<K extends MailKind>(mail: MailContent<K>, publicUrl: string): RenderedMail {
  const language = languageOf(mail.locale);
  const { greeting, greetingWithoutName, footer, kinds } = texts[language];
  const { subject, action = "", paragraphs } = kinds[mail.kind];
  const given = Object.fromEntries<string | undefined>(Object.entries(mail.values));
  const name = plainName(given.name ?? "");
  const link = linkOf(mail.kind, given.token, action, publicUrl);
  const values = plainValues(given);
  const body = paragraphs.flatMap((paragraph): (string | Link)[] => {
    if (paragraph === LINK) return link === undefined ? [] : [link];
    const filled = fill(paragraph, values);
    return filled === undefined ? [] : [filled];
  });
  const opening = name === "" ? greetingWithoutName : greeting.replace("{name}", () => name);
  return {
    subject,
    text: `${[opening, ...body.map(linkText), `-- \n${footer}`].join("\n\n")}\n`,
    html: htmlOf(language, subject, [opening, ...body], footer),
  };
}

/** The server does not see the token when the page is opened, because a fragment is never sent. */
function linkOf(
  kind: MailKind,
  token: string | undefined,
  label: string,
  publicUrl: string,
): Link | undefined {
  const { page } = mailKinds[kind];
  if (page === undefined || token === undefined) return undefined;
  assert(TOKEN_FORM.test(token), "the token of a mail must be printable ASCII");
  return { label, url: `${publicUrl.replace(/\/+$/, "")}/m/${page}#token=${encodeURIComponent(token)}` };
}

function plainValues(given: Readonly<Record<string, string | undefined>>): ReadonlyMap<string, string> {
  const { time = "", email = "", code = "", client = "", address = "", organization = "" } = given;
  return new Map([
    ["time", plainTime(time)],
    ["email", plainEmail(email)],
    ["code", CODE_FORM.test(code) ? code : ""],
    ["client", plainClient(client)],
    ["address", plainAddress(address)],
    ["organization", plainName(organization)],
  ]);
}

/** Undefined where a value of the paragraph is absent. */
function fill(paragraph: string, values: ReadonlyMap<string, string>): string | undefined {
  let isWhole = true;
  const filled = paragraph.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values.get(name) ?? "";
    if (value === "") isWhole = false;
    return value;
  });
  return isWhole ? filled : undefined;
}

function linkText(part: string | Link): string {
  return typeof part === "string" ? part : `${part.label}:\n${part.url}`;
}

function htmlOf(
  language: string,
  subject: string,
  parts: readonly (string | Link)[],
  footer: string,
): string {
  const paragraphs = parts.map((part) => {
    if (typeof part === "string") return `<p>${escaped(part)}</p>`;
    return `<p><a href="${escaped(part.url)}">${escaped(part.label)}</a></p>`;
  });
  return [
    "<!doctype html>",
    `<html lang="${language}">`,
    `<head><meta charset="utf-8"><title>${escaped(subject)}</title></head>`,
    "<body>",
    ...paragraphs,
    `<p><small>${escaped(footer)}</small></p>`,
    "</body>",
    "</html>",
    "",
  ].join("\n");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
