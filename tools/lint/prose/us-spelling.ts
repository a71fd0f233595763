// Finds British spellings in prose, identifiers, strings and paths.

/** Stem with its American form. Stems match anywhere in a word, so that identifiers are covered. */
const stems: readonly (readonly [british: string, american: string])[] = [
  ["organis(?=[aei])(?!m)", "organiz"],
  ["authoris(?=[aei])", "authoriz"],
  ["behaviour", "behavior"],
  ["catalogu", "catalog"],
  ["cancell(?=e|ing)", "cancel"],
  ["colour", "color"],
  ["favour", "favor"],
  ["flavour", "flavor"],
  ["honour", "honor"],
  ["labour", "labor"],
  ["neighbour", "neighbor"],
  ["labell(?=e|ing)", "label"],
  ["travell(?=e|ing)", "travel"],
  ["modell(?=e|ing)", "model"],
  ["signall(?=e|ing)", "signal"],
  ["levell(?=e|ing)", "level"],
  ["channell(?=e|ing)", "channel"],
  ["dialled|dialling", "dial"],
  ["totall(?=ed|ing)", "total"],
  ["serialis(?=[aei])", "serializ"],
  ["normalis(?=[aei])", "normaliz"],
  ["recognis(?=[aei])", "recogniz"],
  ["initialis(?=[aei])", "initializ"],
  ["synchronis(?=[aei])", "synchroniz"],
  ["optimis(?=ed|es|ing|ation|er|e\\b)", "optimiz"],
  ["minimis(?=[aei])", "minimiz"],
  ["maximis(?=[aei])", "maximiz"],
  ["summaris(?=[aei])", "summariz"],
  ["tokenis(?=[aei])", "tokeniz"],
  ["capitalis(?=[aei])", "capitaliz"],
  ["categoris(?=[aei])", "categoriz"],
  ["customis(?=[aei])", "customiz"],
  ["finalis(?=[aei])", "finaliz"],
  ["generalis(?=[aei])", "generaliz"],
  ["localis(?=[aei])", "localiz"],
  ["materialis(?=[aei])", "materializ"],
  ["parallelis(?=[aei])(?!m)", "paralleliz"],
  ["prioritis(?=[aei])", "prioritiz"],
  ["realis(?=e|ing|ation)", "realiz"],
  ["sanitis(?=[aei])", "sanitiz"],
  ["specialis(?=[aei])", "specializ"],
  ["standardis(?=[aei])", "standardiz"],
  ["stabilis(?=[aei])", "stabiliz"],
  ["utilis(?=[aei])", "utiliz"],
  ["visualis(?=[aei])", "visualiz"],
  ["anonymis(?=[aei])", "anonymiz"],
  ["memois(?=[aei])", "memoiz"],
  ["analyse(?!s\\b)|analysing", "analyze"],
  ["centre", "center"],
  ["defence", "defense"],
  ["offence", "offense"],
  ["licence", "license"],
  ["judgement", "judgment"],
  ["acknowledgement", "acknowledgment"],
  ["artefact", "artifact"],
  ["whilst", "while"],
  ["amongst", "among"],
  ["ageing", "aging"],
  ["learnt", "learned"],
  ["spelt\\b", "spelled"],
  ["\\bgrey", "gray"],
  ["\\bprogrammes?\\b", "program"],
  ["fulfil\\b|fulfils\\b", "fulfill"],
];

/** One pass finds a candidate line; only its stems are then tried one by one. */
const anyStem = new RegExp(stems.map(([british]) => british).join("|"), "i");
const patterns = stems.map(([british, american]) => ({ pattern: new RegExp(british, "i"), american }));

/** Names that others own: gRPC's status code. */
const foreign = /\b(?:Status|status|Code)\.CANCELLED\b/g;

export function isSpellingExempt(path: string): boolean {
  // The lists of this check, and translations of error messages.
  if (/^tools\/lint\/(prose\/|prose\.test\.ts$)/.test(path)) return true;
  return /^packages\/errors\/src\/messages\/(?!en)[a-z]+\.ts$/.test(path) || path === "package-lock.json";
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
