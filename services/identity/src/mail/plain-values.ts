// Makes values of strangers harmless for mails: no URL, no line break, limited length. Pure.

const CHARACTERS_MAX = 100;
const EMAIL_CHARACTERS_MAX = 320;
/** Line breaks, control characters, and characters that are invisible or change the direction of text. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;
const SPACES = /\p{Z}+/gu;
/** Mail programs turn such texts into links. Some accept other dots of domain names, too. */
const LINK = /:\/\/|[/\\@]|[.。．｡](?=[\p{L}\p{N}])/u;

/** The name for a greeting; "" for a name that a mail program could turn into a link. */
export function plainName(name: string): string {
  const plain = cut(name);
  return LINK.test(plain) ? "" : plain;
}

/** The words of a user agent, which its sender chooses freely. */
export function plainClient(client: string): string {
  return cut(client.replace(/[^\p{L}\p{N} ();,_-]/gu, " "));
}

/** An IP address, or "". */
export function plainAddress(address: string): string {
  return /^[0-9a-f.:/]{2,64}$/i.test(address) ? address : "";
}

/** An RFC 3339 time in UTC, to the minute. */
export function plainTime(time: string): string {
  const [, date, minute] = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::\d{2}(?:\.\d+)?)?Z$/.exec(time) ?? [];
  return date === undefined ? "" : `${date} ${minute} UTC`;
}

/** An address in the text of a mail, without characters of URLs. */
export function plainEmail(email: string): string {
  return email
    .replace(UNPRINTABLE, "")
    .replace(/[/\\:]/g, "_")
    .slice(0, EMAIL_CHARACTERS_MAX);
}

function cut(text: string): string {
  const plain = text.replace(UNPRINTABLE, " ").replace(SPACES, " ").trim();
  return [...plain].slice(0, CHARACTERS_MAX).join("").trim();
}
