// Renders the pages behind mail links as HTML.
import type { Page } from "./page.ts";

interface Filled {
  readonly token?: string;
  readonly challenge?: string;
  readonly email?: string;
  readonly name?: string;
}

/** A page as a response shows it. */
export interface PageView {
  readonly name: string;
  readonly page: Page;
  /** Content of the form, after a failure the last content. */
  readonly filled?: Filled;
  readonly problem?: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** Paths are relative, so that the pages also work below a path of the public address. */
export function htmlDocument(
  title: string,
  body: string,
  { root = "", isWide = false, hasScript = false } = {},
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<link rel="stylesheet" href="${root}page.css">
${hasScript ? `<script src="${root}page.js" defer></script>\n` : ""}</head>
<body>
<main${isWide ? ' class="wide"' : ""}>
<h1>${escapeHtml(title)}</h1>
${body}
</main>
</body>
</html>
`;
}

export function formPage({ name, page, filled = {}, problem }: PageView): string {
  const body = [
    `<p>${escapeHtml(page.text)}</p>`,
    ...(problem === undefined ? [] : [`<p class="problem" role="alert">${escapeHtml(problem)}</p>`]),
    `<form method="post" action="${name}" autocomplete="off">`,
    page.isFollowUp === true ? codeFields(filled.challenge ?? "") : tokenField(filled.token ?? ""),
    ...(page.isRegistration === true ? [registrationFields(filled)] : []),
    ...(page.hasPassword === true ? [PASSWORD_FIELD] : []),
    `<p><button type="submit">${escapeHtml(page.button)}</button></p>`,
    "</form>",
  ].join("\n");
  return htmlDocument(page.title, body, { hasScript: page.isFollowUp !== true });
}

export interface Shown {
  readonly label: string;
  readonly value: string;
}

/** The page after the action. */
export function donePage(page: Page, shown: readonly Shown[]): string {
  const fields = shown.map(
    ({ label, value }, index) =>
      `<p><label for="shown-${index}">${escapeHtml(label)}</label>\n` +
      `<textarea id="shown-${index}" rows="4" readonly>${escapeHtml(value)}</textarea></p>`,
  );
  return htmlDocument(page.title, [`<p role="status">${escapeHtml(page.done)}</p>`, ...fields].join("\n"));
}

const TOKEN_CHARACTERS_MAX = 4096;

function tokenField(token: string): string {
  return `<div class="token"${token === "" ? "" : " hidden"}>
<p><label for="token">The link of the mail</label>
<input id="token" name="token" value="${escapeHtml(token)}" required maxlength="${TOKEN_CHARACTERS_MAX}" spellcheck="false"></p>
<p class="hint">If the field is empty, copy the whole link of the mail into the field.</p>
</div>`;
}

const PASSWORD_FIELD = `<p><label for="password">New password</label>
<input id="password" name="password" type="password" required minlength="12" maxlength="1024" autocomplete="new-password"></p>`;

function registrationFields({ email = "", name = "" }: Filled): string {
  return `<p><label for="email">Email address</label>
<input id="email" name="email" type="email" value="${escapeHtml(email)}" required maxlength="320" autocomplete="email"></p>
<p><label for="name">Name</label>
<input id="name" name="name" value="${escapeHtml(name)}" required maxlength="100" autocomplete="name"></p>`;
}

function codeFields(challenge: string): string {
  return `<input type="hidden" name="challenge" value="${escapeHtml(challenge)}">
<p><label for="code">Code</label>
<input id="code" name="code" required maxlength="64" autocomplete="one-time-code" spellcheck="false"></p>`;
}
