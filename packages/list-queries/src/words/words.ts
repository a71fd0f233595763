// Splits texts into the words by which a search finds them. Pure.
import { queryError } from "../query-error.ts";
import { textKey } from "./text-key.ts";

/** Characters of a word that count; the rest of a longer word is ignored on both sides. */
const WORD_CHARACTERS_MAX = 32;
/** Words of one text that are stored. */
const WORDS_MAX = 40;
const SEARCH_CHARACTERS_MAX = 200;
const SEARCH_WORDS_MAX = 10;
const WORD = /[\p{L}\p{M}\p{N}]+/gu;

/** The keys of the words of a text, each once: runs of letters and digits, so that an address is several words. */
export function wordsOf(text: string): string[] {
  const words = new Set<string>();
  for (const [word] of textKey(text).matchAll(WORD)) {
    words.add([...word].slice(0, WORD_CHARACTERS_MAX).join(""));
    if (words.size === WORDS_MAX) break;
  }
  return [...words];
}

/** The words of a search. FIELD_INVALID for a search without words or with too many. */
export function searchWords(argument: string, text: string): string[] {
  const characters = [...text];
  if (characters.length > SEARCH_CHARACTERS_MAX) {
    const message = `must be at most ${SEARCH_CHARACTERS_MAX} characters`;
    throw queryError(argument, message, SEARCH_CHARACTERS_MAX);
  }
  const words = wordsOf(text);
  if (words.length === 0) throw queryError(argument, "must have a letter or a digit", 0);
  if (words.length > SEARCH_WORDS_MAX) {
    throw queryError(argument, `must have at most ${SEARCH_WORDS_MAX} words`, 0);
  }
  return words;
}
