// Shows the mails that an installation without a mail server has stored, to this machine only.
import type { StoredMails } from "@muster/mail";
import { type DemoRequest, mayActAsDemo } from "../callers/demo-access.ts";
import { escapeHtml, htmlDocument } from "./page-html.ts";
import { HTML_HEADERS, type PageResponse } from "./page-response.ts";

const PATH = "/dev/mail";
const ALLOW = "GET, HEAD, OPTIONS";
const URL_IN_TEXT = /https?:\/\/[^\s<>"]+/g;

export type StoredMailResponse = { readonly route: string } & (
  | { readonly response: PageResponse }
  | { readonly allow: string }
);

/** Undefined for other paths, without stored mails, and for other machines and pages of other sites. */
export async function respondToStoredMails(
  { path, method }: { readonly path: string; readonly method: string },
  client: DemoRequest,
  mails: StoredMails | undefined,
): Promise<StoredMailResponse | undefined> {
  if (mails === undefined || (path !== PATH && !path.startsWith(`${PATH}/`))) return undefined;
  if (!mayActAsDemo(client)) return undefined;
  const id = path.slice(PATH.length + 1);
  const route = id === "" ? PATH : `${PATH}/{id}`;
  if (method === "OPTIONS")
    return { route, response: { status: 204, headers: { allow: ALLOW }, body: undefined } };
  if (method !== "GET" && method !== "HEAD") return { route, allow: ALLOW };
  const body = id === "" ? await listPage(mails) : await mailPage(mails, id);
  return body === undefined ? undefined : { route, response: { status: 200, headers: HTML_HEADERS, body } };
}

async function listPage(mails: StoredMails): Promise<string> {
  const rows = (await mails.list()).map(
    ({ id, createTimeMs, to, subject }) =>
      `<tr><td>${timeOf(createTimeMs)}</td><td>${escapeHtml(to)}</td>` +
      `<td><a href="/dev/mail/${id}">${escapeHtml(subject)}</a></td></tr>`,
  );
  const table = `<table>\n<tr><th>Time</th><th>To</th><th>Subject</th></tr>\n${rows.join("\n")}\n</table>`;
  const body = rows.length === 0 ? "<p>No mail was sent yet.</p>" : table;
  return htmlDocument("Mails", body, { root: "/m/", isWide: true });
}

async function mailPage(mails: StoredMails, id: string): Promise<string | undefined> {
  const mail = await mails.read(id);
  if (mail === undefined) return undefined;
  const body = [
    `<p class="hint">${timeOf(mail.createTimeMs)} · To: ${escapeHtml(mail.to)}</p>`,
    `<pre>${withLinks(mail.text)}</pre>`,
    `<p><a href="${PATH}">All mails</a></p>`,
  ].join("\n");
  return htmlDocument(mail.subject, body, { root: "/m/", isWide: true });
}

function timeOf(timeMs: number): string {
  return new Date(timeMs).toISOString().replace("T", " ").slice(0, 19);
}

function withLinks(text: string): string {
  let html = "";
  let end = 0;
  for (const { 0: url, index } of text.matchAll(URL_IN_TEXT)) {
    html += `${escapeHtml(text.slice(end, index))}<a href="${escapeHtml(url)}">${escapeHtml(url)}</a>`;
    end = index + url.length;
  }
  return html + escapeHtml(text.slice(end));
}
