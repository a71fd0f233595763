// Declares the variables of mails and their links.
import { text, url } from "./kinds.ts";
import { optional, type Purpose } from "./variable.ts";

const SENDER = /^(?:[^<>"@\r\n]{1,100}<[^\s<>"@]+@[^\s<>"@]+>|[^\s<>"@]+@[^\s<>"@]+)$/;

/** Paths of pages are appended, so no query or fragment may follow. */
const PUBLIC_URL = /^https?:\/\/(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?(?:\/[\w.~%/-]*)?$/i;

function sendsMails({ mode, command, targets }: Purpose): boolean {
  return mode === "production" && command === "serve" && targets.includes("identity");
}

export const mailVariables = {
  publicUrl: optional({
    name: "MUSTER_PUBLIC_URL",
    doc: "Address under which people reach the gateway. It begins the links of mails. Unset in embedded mode: the address of the HTTP port.",
    kind: text(PUBLIC_URL, "a URL such as https://muster.example.com, without a query"),
    requiredFor: sendsMails,
  }),
  smtpUrl: optional({
    name: "MUSTER_SMTP_URL",
    doc: "Mail server, with user and password if it needs them: smtp (STARTTLS where the server offers it, always with a password) or smtps (TLS from the start). The default ports are 587 and 465. Unset in embedded mode: mails are stored in the data folder.",
    kind: url("smtp", "smtps"),
    requiredFor: sendsMails,
    isSecret: true,
  }),
  mailFrom: optional({
    name: "MUSTER_MAIL_FROM",
    doc: "Sender of mails: an address, or a name and an address. Its domain is part of every Message-ID.",
    kind: text(SENDER, "an address such as no-reply@example.com, or Muster <no-reply@example.com>"),
    requiredFor: sendsMails,
  }),
};
