// Selects the language of a response by the Accept-Language header.
import { LANGUAGES, type Language } from "@muster/errors";
import Negotiator from "negotiator";

/** Browsers send less; longer headers are ignored. */
const HEADER_CHARACTERS_MAX = 256;

/** English where the header is missing, malformed or matches no language. */
export function negotiateLanguage(acceptLanguage: string | undefined): Language {
  if (acceptLanguage === undefined || acceptLanguage.length > HEADER_CHARACTERS_MAX) return "en";
  const preferred = new Negotiator({ headers: { "accept-language": acceptLanguage } }).language(LANGUAGES);
  return LANGUAGES.find((language) => language === preferred) ?? "en";
}
