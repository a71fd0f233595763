// Composes the fields of a mail for nodemailer.
import type { Mail } from "./mail.ts";

/** A name and an address, such as `Muster <no-reply@example.com>`, or an address. */
const SENDER = /^(?:([^<>"\r\n]*)<)?([^\s<>"@]+@[^\s<>"@]+?)>?$/;

export interface Sender {
  readonly name: string;
  readonly address: string;
}

export function senderOf(text: string): Sender {
  const [, name = "", address = ""] = SENDER.exec(text.trim()) ?? [];
  return { name: name.trim(), address };
}

/** The message in nodemailer's form. Addresses are objects, because nodemailer reads text as a list. */
export function composed(mail: Mail, from: Sender) {
  const domain = from.address.slice(from.address.lastIndexOf("@") + 1);
  return {
    from: { ...from },
    to: { name: "", address: mail.to },
    envelope: { from: from.address, to: [mail.to] },
    messageId: `<${mail.id}@${domain}>`,
    date: new Date(mail.createTimeMs),
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    headers: {
      // Vacation responders do not respond to automatic mails.
      "Auto-Submitted": "auto-generated",
      "X-Auto-Response-Suppress": "All",
    },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}
