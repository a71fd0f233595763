// Returns the texts of the language that fits a locale. Pure.
import type { Language } from "@muster/errors";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { es } from "./es.ts";
import { fr } from "./fr.ts";
import type { LanguageTexts } from "./mail-text.ts";

export const texts: Readonly<Record<Language, LanguageTexts>> = { en, de, fr, es };

/** By the first part of the locale, such as `de` of `de-AT`; English for any other language. */
export function languageOf(locale: string | undefined): Language {
  const [first = ""] = (locale ?? "").toLowerCase().split(/[-_]/, 1);
  return Object.hasOwn(texts, first) ? (first as Language) : "en";
}
