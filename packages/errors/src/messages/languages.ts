// Declares the languages of error messages. A reason without a sentence in each language does not compile.

import { type ReasonName, reasonTable } from "../reason-table.ts";
import { de } from "./de.ts";
import { es } from "./es.ts";
import { fr } from "./fr.ts";

/** English first: the language for callers without a preference. */
export const LANGUAGES = ["en", "de", "fr", "es"] as const;
export type Language = (typeof LANGUAGES)[number];

const translations: Record<Exclude<Language, "en">, Record<ReasonName, string>> = { de, fr, es };

/** General meaning of the reason; the message about the particular error exists in English only. */
export function reasonMessage(reason: ReasonName, language: Language): string {
  return language === "en" ? reasonTable[reason].message : translations[language][reason];
}
