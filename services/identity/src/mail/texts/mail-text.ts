// Declares the texts of a language. A language without the text of a kind does not compile. Pure.
import type { MailKind } from "./mail-kind.ts";

/**
 * A paragraph may contain {time}, {email}, {code}, {client}, {address} and {organization}. The paragraph is left out when
 * one of its values is absent. The paragraph "{link}" stands for the link.
 */
export interface MailText {
  readonly subject: string;
  /** Label of the link. */
  readonly action?: string;
  readonly paragraphs: readonly string[];
}

export interface LanguageTexts {
  /** With {name}. */
  readonly greeting: string;
  readonly greetingWithoutName: string;
  readonly footer: string;
  readonly kinds: Readonly<Record<MailKind, MailText>>;
}
