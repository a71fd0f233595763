// Which of our languages a client gets, by its Accept-Language header.
import { LANGUAGES, type Language } from "@muster/errors";
import Negotiator from "negotiator";

/** Browsers send less; what is longer is not worth reading. */
const HEADER_CHARACTERS_MAX = 256;

/** English where there is no header, no match or no sense in it. */
export function negotiateLanguage(acceptLanguage: string | undefined): Language {
  if (acceptLanguage === undefined || acceptLanguage.length > HEADER_CHARACTERS_MAX) return "en";
  const preferred = new Negotiator({ headers: { "accept-language": acceptLanguage } }).language(LANGUAGES);
  return LANGUAGES.find((language) => language === preferred) ?? "en";
}
