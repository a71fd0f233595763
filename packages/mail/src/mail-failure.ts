// Classifies the failures of sending a mail.
import { PlainError } from "@muster/core";

/**
 * "refused": the server refuses this mail for good. "deferred": the server refuses this mail for now. "outage": no
 * mail can be sent at the moment.
 */
export type MailFailureKind = "refused" | "deferred" | "outage";

const MESSAGES: Readonly<Record<MailFailureKind, string>> = {
  refused: "the mail server refuses the mail",
  deferred: "the mail server refuses the mail for now",
  outage: "the mail server cannot be used",
};

/** Column size of the code in identity. */
const CODE_CHARACTERS_MAX = 64;

export class MailFailure extends PlainError {
  override name = "MailFailure";
  readonly kind: MailFailureKind;
  /** Reply code of SMTP, or the code of a failed connection. */
  readonly code: string;

  constructor(kind: MailFailureKind, code: string, options?: ErrorOptions) {
    // The server's own text quotes the address, so the message has only the code.
    super(`${MESSAGES[kind]} (${code})`, options);
    this.kind = kind;
    this.code = code.slice(0, CODE_CHARACTERS_MAX);
  }
}

/** The parts of an error of nodemailer that decide. */
interface SmtpError {
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly command?: unknown;
  readonly responseCode?: unknown;
  readonly permanent?: unknown;
}

/** "Service not available, closing transmission channel": it concerns no single mail. */
const CLOSING = 421;
/** Commands whose refusal concerns the recipient or the content, and no other mail. */
const COMMANDS_OF_THE_MAIL: ReadonlySet<unknown> = new Set(["RCPT TO", "DATA"]);
const CODES_OF_THE_MAIL: ReadonlySet<unknown> = new Set(["EENVELOPE", "EMESSAGE"]);

export function mailFailureOf(error: unknown): MailFailure {
  if (error instanceof MailFailure) return error;
  const { code, originalCode, command, responseCode, permanent } = (error ?? {}) as SmtpError;
  if (typeof responseCode !== "number" || responseCode === CLOSING) {
    // Without a response, the address itself could not be written into a command.
    if (code === "EENVELOPE") return new MailFailure("refused", "EENVELOPE", { cause: error });
    return new MailFailure("outage", String(responseCode ?? originalCode ?? code ?? "unknown"), {
      cause: error,
    });
  }
  const isOfTheMail = COMMANDS_OF_THE_MAIL.has(command) && CODES_OF_THE_MAIL.has(code);
  const kind = permanent === true ? "refused" : "deferred";
  return new MailFailure(isOfTheMail ? kind : "outage", String(responseCode), { cause: error });
}
