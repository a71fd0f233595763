import { LANGUAGES } from "@muster/errors";
import { golden } from "@muster/testkit";
import { describe, expect, test } from "vitest";
import { renderMail } from "./render-mail.ts";
import { type MailKind, type MailValues, mailKinds } from "./texts/mail-kind.ts";
import { languageOf, texts } from "./texts/texts.ts";

const URL_BASE = "https://muster.test";
const KINDS = Object.keys(mailKinds) as MailKind[];
/** Every value that any kind takes. */
const VALUES = {
  name: "Ada Lovelace",
  token: "the_token-of.the.link",
  code: "012345",
  email: "ada@new.example",
  time: "2026-11-30T16:05:09.123Z",
  client: "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0",
  address: "2001:db8::7",
  organization: "Acme & Sons",
};

function render(kind: MailKind, values: Partial<typeof VALUES> = VALUES, locale = "en") {
  return renderMail({ kind, locale, values: values as MailValues[MailKind] }, URL_BASE);
}

test.each(KINDS)("the English mail %s is as reviewed", async (kind) => {
  const { subject, text, html } = render(kind);
  await golden(`mails/${kind}.txt`, `Subject: ${subject}\n\n${text}`);
  if (kind === "magic_link") await golden(`mails/${kind}.html`, html);
});

describe.each(LANGUAGES)("texts in %s", (language) => {
  test.each(KINDS)("%s is whole, with the values of the English mail", (kind) => {
    const { subject, text, html } = render(kind, VALUES, language);
    const english = render(kind);
    expect(subject).not.toBe("");
    expect(`${subject}${text}${html}`).not.toMatch(/[{}]|undefined/);
    const page = mailKinds[kind].page;
    const link = `${URL_BASE}/m/${page}#token=${VALUES.token}`;
    expect(text.includes(link)).toBe(page !== undefined);
    expect(html.includes(`href="${link}"`)).toBe(page !== undefined);
    for (const value of Object.values({ ...VALUES, time: "2026-11-30 16:05 UTC", client: "", token: "" })) {
      expect(text.includes(value), value).toBe(english.text.includes(value));
    }
    expect(texts[language].kinds[kind].paragraphs.length).toBe(texts.en.kinds[kind].paragraphs.length);
    if (language === "en") return;
    expect(subject).not.toBe(english.subject);
    const shared = texts[language].kinds[kind].paragraphs.filter((one) =>
      texts.en.kinds[kind].paragraphs.includes(one),
    );
    expect(shared.filter((one) => one !== "{link}")).toEqual([]);
    expect(html).toContain(`<html lang="${language}">`);
  });
});

test("a locale selects its language, any other locale English", () => {
  expect(["de", "de-AT", "FR_ca", "es-419", "en-GB"].map(languageOf)).toEqual(["de", "de", "fr", "es", "en"]);
  for (const locale of [undefined, "", "ja", "constructor", "__proto__"])
    expect(languageOf(locale)).toBe("en");
});

test("without a code, a link or a value, the paragraph is left out", () => {
  const { text } = render("magic_link", { ...VALUES, code: undefined } as never);
  expect(text).not.toContain("code:");
  expect(text).toContain("#token=");
  expect(render("email_changed", { name: "Ada", email: VALUES.email }).text).not.toContain("/m/");
  expect(render("new_device", { name: "Ada", time: VALUES.time }).text).not.toContain("Program");
});

test("values of strangers cannot add a line, a link or markup", () => {
  const attacks = [
    "Ada\r\nBcc: eve@evil.test",
    "Ada\u2028\u202Eevil",
    "click http://evil.test/now",
    "www.evil.test",
    "evil.test",
    "evil。test",
    "eve@evil.test",
    '<a href="//evil.test">win</a>',
    "<b>Ada</b>",
    "A".repeat(5_000),
  ];
  for (const name of attacks) {
    for (const kind of KINDS) {
      const { subject, text, html } = render(kind, { ...VALUES, name, client: name });
      expect(subject).toBe(render(kind).subject);
      const [greeting = ""] = text.split("\n");
      expect(greeting.length).toBeLessThanOrEqual("Hello ,".length + 100);
      expect(text).not.toMatch(/evil[.。]test|http:\/\/|[\r\u2028\u202e]/u);
      expect(text.split("\n").length).toBeLessThanOrEqual(render(kind).text.split("\n").length);
      const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, href]) => href);
      expect(links.every((href) => href?.startsWith(`${URL_BASE}/m/`))).toBe(true);
      expect(html).not.toMatch(/<b>|<a (?!href="https:\/\/muster\.test\/m\/)/);
    }
  }
  const harmless = render("already_registered", { name: 'O\'Neil <3 & "Zoë"' });
  expect(harmless.text).toContain('Hello O\'Neil <3 & "Zoë",');
  expect(harmless.html).toContain("O&#39;Neil &lt;3 &amp; &quot;Zoë&quot;");
});

test("a name of replacement patterns is a name", () => {
  expect(render("already_registered", { name: "$& $1 {time}" }).text).toContain("Hello $& $1 {time},");
});

test("links begin with the public address, also below a path, and a token is escaped", () => {
  const mail = { kind: "verify_email", locale: "en", values: { name: "", token: "a+b%#&" } } as const;
  const { text, html } = renderMail(mail, "https://example.com/muster/");
  expect(text).toContain("https://example.com/muster/m/verify-email#token=a%2Bb%25%23%26\n");
  expect(html).toContain('href="https://example.com/muster/m/verify-email#token=a%2Bb%25%23%26"');
  expect(text).toMatch(/^Hello,\n/);
  expect(() => renderMail({ ...mail, values: { name: "", token: "a b" } }, URL_BASE)).toThrow("printable");
});
