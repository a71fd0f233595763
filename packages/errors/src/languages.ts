// The languages that errors speak. A reason without a sentence in one of them does not compile.
import { de } from "./messages/de.ts";
import { es } from "./messages/es.ts";
import { fr } from "./messages/fr.ts";
import { type ReasonName, reasonTable } from "./reason-table.ts";

/** English first: it answers where the caller has no preference. */
export const LANGUAGES = ["en", "de", "fr", "es"] as const;
export type Language = (typeof LANGUAGES)[number];

const translations: Record<Exclude<Language, "en">, Record<ReasonName, string>> = { de, fr, es };

/** What the reason means in general; what went wrong in particular is said in English alone. */
export function reasonMessage(reason: ReasonName, language: Language): string {
  return language === "en" ? reasonTable[reason].message : translations[language][reason];
}
