// Finds British spellings in prose, identifiers, strings and paths.

/**
 * Stem with its American form. Stems match anywhere in a word, so that identifiers are covered. The letter in
 * brackets keeps this file from matching itself.
 */
const stems: readonly (readonly [british: string, american: string])[] = [
  ["organi[s](?=[aei])(?!m)", "organiz"],
  ["authori[s](?=[aei])", "authoriz"],
  ["behavio[u]r", "behavior"],
  ["catalog[u]", "catalog"],
  ["cancel[l](?=e|ing)", "cancel"],
  ["colo[u]r", "color"],
  ["favo[u]r", "favor"],
  ["flavo[u]r", "flavor"],
  ["hono[u]r", "honor"],
  ["labo[u]r", "labor"],
  ["neighbo[u]r", "neighbor"],
  ["label[l](?=e|ing)", "label"],
  ["travel[l](?=e|ing)", "travel"],
  ["model[l](?=e|ing)", "model"],
  ["signal[l](?=e|ing)", "signal"],
  ["level[l](?=e|ing)", "level"],
  ["channel[l](?=e|ing)", "channel"],
  ["dial[l]ed|dial[l]ing", "dial"],
  ["total[l](?=ed|ing)", "total"],
  ["seriali[s](?=[aei])", "serializ"],
  ["normali[s](?=[aei])", "normaliz"],
  ["recogni[s](?=[aei])", "recogniz"],
  ["initiali[s](?=[aei])", "initializ"],
  ["synchroni[s](?=[aei])", "synchroniz"],
  ["optimi[s](?=ed|es|ing|ation|er|e\\b)", "optimiz"],
  ["minimi[s](?=[aei])", "minimiz"],
  ["maximi[s](?=[aei])", "maximiz"],
  ["summari[s](?=[aei])", "summariz"],
  ["tokeni[s](?=[aei])", "tokeniz"],
  ["capitali[s](?=[aei])", "capitaliz"],
  ["categori[s](?=[aei])", "categoriz"],
  ["customi[s](?=[aei])", "customiz"],
  ["finali[s](?=[aei])", "finaliz"],
  ["generali[s](?=[aei])", "generaliz"],
  ["locali[s](?=[aei])", "localiz"],
  ["materiali[s](?=[aei])", "materializ"],
  ["paralleli[s](?=[aei])(?!m)", "paralleliz"],
  ["prioriti[s](?=[aei])", "prioritiz"],
  ["reali[s](?=e|ing|ation)", "realiz"],
  ["saniti[s](?=[aei])", "sanitiz"],
  ["speciali[s](?=[aei])", "specializ"],
  ["standardi[s](?=[aei])", "standardiz"],
  ["stabili[s](?=[aei])", "stabiliz"],
  ["utili[s](?=[aei])", "utiliz"],
  ["visuali[s](?=[aei])", "visualiz"],
  ["anonymi[s](?=[aei])", "anonymiz"],
  ["memoi[s](?=[aei])", "memoiz"],
  ["analy[s]e(?!s\\b)|analy[s]ing", "analyze"],
  ["cent[r]e", "center"],
  ["defen[c]e", "defense"],
  ["offen[c]e", "offense"],
  ["licen[c]e", "license"],
  ["judg[e]ment", "judgment"],
  ["acknowledg[e]ment", "acknowledgment"],
  ["art[e]fact", "artifact"],
  ["whil[s]t", "while"],
  ["among[s]t", "among"],
  ["ag[e]ing", "aging"],
  ["learn[t]", "learned"],
  ["spel[t]\\b", "spelled"],
  ["\\bgr[e]y", "gray"],
  ["\\bprogram[m]es?\\b", "program"],
  ["fulfi[l]\\b|fulfi[l]s\\b", "fulfill"],
];

/** Finds candidate lines in one pass; the single stems are tried on those lines only. */
const anyStem = new RegExp(stems.map(([british]) => british).join("|"), "i");
const patterns = stems.map(([british, american]) => ({ pattern: new RegExp(british, "i"), american }));

/** Names from outside: gRPC's status code, and the event and property of grpc-js. */
const foreign = /\b(?:Status|status|Code)\.CANCEL[L]ED\b|(?:call\.|")cancel[l]ed\b/g;

const TRANSLATION =
  /^(?:packages\/errors\/src\/messages|services\/identity\/src\/mail\/texts)\/(?:de|es|fr)\.ts$/;

export function isSpellingExempt(path: string): boolean {
  // Translations of error messages and mails, and names of packages.
  return TRANSLATION.test(path) || path === "package-lock.json";
}

/** Messages for a line of text or a path. */
export function britishSpellings(text: string): string[] {
  if (!anyStem.test(text)) return [];
  const own = text.replaceAll(foreign, "");
  return patterns.flatMap(({ pattern, american }) => {
    const found = pattern.exec(own)?.[0];
    return found === undefined ? [] : [`British spelling "${found}"; write "${american}"`];
  });
}
