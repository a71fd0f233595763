// Lists the words, phrases and openings that comments and documents must not use, each with a plain replacement.

export interface BannedPhrase {
  readonly pattern: RegExp;
  readonly instead: string;
}

function ban(source: string, instead: string): BannedPhrase {
  // A phrase may be broken over two lines.
  return { pattern: new RegExp(`\\b(?:${source.replaceAll(" ", "\\s+")})\\b`, "gi"), instead };
}

const SPEECH = "software publishes, returns, stores, reads, requires or rejects";

export const bannedPhrases: readonly BannedPhrase[] = [
  // Terms that the glossary replaced.
  ban("tells?|tellings?|(?:un)?told", "publish, published, rule switch, distinguish"),
  ban("folds?|folded|folding", "apply, applied, projection"),
  ban("(?:un)?settle[sd]?|settling", "save the response, resolve, apply, finish"),
  ban("scribes?", "identity writer"),
  ban("verdicts?", "evaluation"),
  ban("lookouts?", "work schedule"),
  ban("outlooks?", "pending work"),
  ban("recollect|recollects|recollected|recollections?", "retained facts"),
  ban("derive[sd]? anew|derivations?", "rebuild (one profile), backfill (a new rule)"),
  ban("doubt|doubts|doubted|doubtful", "stale, unknown"),
  ban("taint|taints|tainted", "incomplete"),
  ban("touch|touches|touched|touching|untouched", "change, update, create"),
  ban("lonely|wary", "exclusive, duplicate check"),
  ban("heirs?", "successor"),
  ban("gathers?|gathered|gathering", "select, collect"),
  ban("picked", "selected"),
  ban("suspects?|suspected", "failing message"),
  ban("bury|buries|buried", "dead-letter"),
  ban("judge|judges|judged|judging", "evaluate, validate"),
  ban("trials?|on trial", "simulation"),
  ban("left rows?", "exited memberships"),
  ban("answer|answers|answered|answering|unanswered", "response, return, respond"),
  ban("ask|asks|asked|asking|asker|askers", "request, call, poll"),
  ban(
    "(?:identity|lease|shard'?s?) epochs?|epochs? of (?:the|a|its|that) (?:shard|lease)",
    "identity version, fencing token",
  ),
  // Verbs of speech and sight.
  ban("says|said|saying|unsaid", SPEECH),
  ban("hears?|heard|hearing", SPEECH),
  ban("knows|knew", SPEECH),
  ban("believe|believes|believed|believing", SPEECH),
  ban("promise[sd]? (?:to|that|nothing|no|what|the|its|it)|promised|promising", SPEECH),
  ban("forgets|forgot|forgotten|forgetting", "drop, expire, remove"),
  ban("sees|saw", SPEECH),
  ban("(?:look|looks|looked|looking) (?:at|for|into|again|through)", "read, search, check, resemble"),
  // Riddles.
  ban("who is who", "identity graph, identity links"),
  ban("whom", "name the profile, account or service"),
  ban("(?:usual|model|raw) way", "baseline, read model, raw events"),
  ban(
    "the ones? that|(?<!(?:no|every|each|any|this|only|which) )one that|ones that|such as are|such as is",
    "name the thing again",
  ),
  ban("those (?:who|whose|of whom|of which)", "name the things again"),
  ban("(?:become|becomes|became) of", "result, outcome"),
  ban("anew|whence|thence|lest|thereof|therein", "again, from there, so that … not"),
  ban("(?:go|goes|going|went) on", "continue"),
  ban("nobody's|anybody's|somebody's", "name the owner"),
];

/** First words of a file or a page: the fragment of a question names no subject. */
export const BANNED_OPENING =
  /^(?:(?:by|of|in|for|from|to|with|at|on) (?:what|which|whom|whose)|what|who|whom|whose|whether|which|why|how|where|when|it|they|those|one)\b/i;

export const OPENING_ADVICE =
  'starts with a question fragment or a pronoun; write "<Noun> <verb>s <object>."';

/** Pronouns and indefinites, whose share in a file is limited. */
export const pronouns: ReadonlySet<string> = new Set([
  ...["who", "whom", "whose", "whoever", "what", "whatever", "whichever", "those", "these", "such"],
  ...["one", "ones", "it", "its", "itself", "they", "them", "their", "themselves", "theirs"],
  ...["he", "she", "him", "his", "her", "some", "none", "others", "another"],
  ...["everything", "nothing", "something", "anything"],
  ...["everybody", "nobody", "somebody", "anybody", "everyone", "someone", "anyone"],
]);
