import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type PathTemplate, parsePathTemplate } from "./path-template.ts";
import { PathTrie } from "./path-trie.ts";

interface NaiveRule {
  readonly verb: string;
  readonly template: PathTemplate;
}

const segment = fc.constantFrom("a", "b", "c", "*", "*");
const template = fc
  .tuple(
    fc.array(segment, { minLength: 1, maxLength: 4 }),
    fc.constantFrom("", "/**"),
    fc.constantFrom("", ":v"),
  )
  .map(([parts, tail, verb]) => `/${parts.join("/")}${tail}${verb}`);
const rules = fc.array(fc.tuple(fc.constantFrom("GET", "POST", "*"), template), { maxLength: 12 });
const paths = fc.array(fc.constantFrom("a", "b", "c", "d", ""), { minLength: 1, maxLength: 6 });

/** Straight from the definition: whether the template matches, and how it ranks. */
function rank({ segments }: PathTemplate, path: readonly string[]): string | undefined {
  if (path.includes("")) return undefined;
  const open = segments.at(-1)?.kind === "many";
  const fixed = open ? segments.slice(0, -1) : segments;
  if (path.length < fixed.length || (!open && path.length > fixed.length)) return undefined;
  const fits = fixed.every(
    (part, index) => part.kind === "one" || (part.kind === "literal" && part.text === path[index]),
  );
  if (!fits) return undefined;
  const kinds = { literal: "0", one: "1", many: "2" };
  return segments.map((part) => kinds[part.kind]).join("");
}

function naive(all: readonly NaiveRule[], path: readonly string[], customVerb: string, method: string) {
  const matching = all
    .filter((rule) => rule.template.verb === customVerb)
    .map((rule) => ({ rule, rank: rank(rule.template, path) }))
    .filter((candidate) => candidate.rank !== undefined)
    .sort((x, y) => ((x.rank ?? "") < (y.rank ?? "") ? -1 : (x.rank ?? "") > (y.rank ?? "") ? 1 : 0));
  const tried = matching.filter(
    ({ rank: of = "" }) => !matching.some((other) => hides(other.rank ?? "", of)),
  );
  const own = tried.filter(({ rule }) => rule.verb === method || rule.verb === "*");
  const best = own[0];
  if (best === undefined)
    return [...new Set(tried.map(({ rule }) => rule.verb))].sort().join() || "not_found";
  const exact = own.find(({ rule, rank: of }) => of === best.rank && rule.verb === method);
  return (exact ?? best).rule;
}

/** Whether the first place where the ranks differ is a literal of the first rank. */
function hides(rank: string, other: string): boolean {
  const place = [...rank].findIndex((kind, index) => kind !== other[index]);
  return place >= 0 && rank[place] === "0";
}

test("the trie finds what the definition requires", async () => {
  await checkProperty(
    fc.property(
      rules,
      paths,
      fc.constantFrom("", "v"),
      fc.constantFrom("GET", "POST", "PUT"),
      (given, path, verb, method) => {
        const trie = new PathTrie<NaiveRule>();
        const kept: NaiveRule[] = [];
        for (const [ruleVerb, text] of given) {
          const rule = { verb: ruleVerb, template: parsePathTemplate(text) };
          const at = trie.at(rule.template);
          if (at.has(ruleVerb)) continue;
          at.set(ruleVerb, rule);
          kept.push(rule);
        }
        const found = trie.match(verb, path, method);
        const shown =
          found.kind === "wrong_method"
            ? [...found.methods].sort().join()
            : found.kind === "found" && found.rule;
        expect(shown || "not_found").toBe(naive(kept, path, verb, method));
      },
    ),
    { numRuns: 3000 },
  );
});

test("many wildcards do not make matching slow", () => {
  const trie = new PathTrie<string>();
  for (let index = 0; index < 12; index++) {
    const parts = Array.from({ length: 12 }, (_, at) => (at === index ? "x" : "*"));
    trie.at(parsePathTemplate(`/${parts.join("/")}/end`)).set("GET", String(index));
  }
  const path = Array.from({ length: 5000 }, () => "x");
  expect(trie.match("", path, "GET").kind).toBe("not_found");
});
