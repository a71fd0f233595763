// Plants violations of every prose rule and expects each one to be found, and plain text to pass.
import { describe, expect, test } from "vitest";
import { checkAllowList } from "./prose/allow-list.ts";
import { checkProseFile } from "./prose/check-prose-file.ts";
import { readProse } from "./prose/read-prose.ts";

function messages(path: string, text: string): string[] {
  return checkProseFile({ path, text }).map(({ line, message }) => `${line}: ${message}`);
}

const CODE = "packages/core/src/planted.ts";
const PAGE = "docs/planted.md";

describe("banned words", () => {
  const planted: [comment: string, found: string][] = [
    ["// Stores rows.\n// The relay tells the consumer.", '2: "tells"'],
    ["// Stores rows.\n/** Folds messages. */", '2: "Folds"'],
    ["// Stores rows.\n\n/**\n * Returns rows.\n * The row knows its shard.\n */", '5: "knows"'],
    ["// Stores rows. Links say\n// who is\n// who.", '2: "who is who"'],
    ["// Returns the answer.", '1: "answer"'],
    ["// Stores profiles of whom events exist.", '1: "whom"'],
    ["// Returns a row, not the one that expired.", '1: "the one that"'],
    ["// Looks at every row.", '1: "Looks at"'],
    ["// Reads the identity epoch.", '1: "identity epoch"'],
    ["// The relay goes on after a failure.", '1: "goes on"'],
  ];

  test.each(planted)("%j", (text, found) => {
    expect(messages(CODE, `${text}\n`)).toEqual([expect.stringContaining(found)]);
  });

  test("ordinary words pass", () => {
    const text =
      "// Reads the data folder, looks up the profile and converts epoch milliseconds.\n" +
      "// Callers that know the cursor pass it; each one reads its own shard.\n";
    expect(messages(CODE, text)).toEqual([]);
  });
});

describe("what counts as prose", () => {
  test("code, strings, links and directives do not", () => {
    const text = `// Stores \`told\` of {@link settle}; see https://example.com/folded.
// biome-ignore lint/style/noDefaultExport: vitest asks for it.
const text = "// it tells"; // Plain.
const template = \`/* folded \${"asked"} */\`;
const pattern = /\\/\\/ told/;
`;
    expect(messages(CODE, text)).toEqual([]);
  });

  test.each([
    ["proto/muster/planted.proto", 'syntax = "proto3";\n// Folds.\nmessage A {} // Told.\n', [2, 3]],
    ["tools/planted.sh", "#!/bin/sh\necho told # Asked.\n", [2]],
    ["deploy/planted.yaml", "# Folds.\nkey: told\n", [1]],
    ["Makefile", "run: setup ## Asks\n\techo told\n", [1]],
    [PAGE, "# Title\n\nText.\n\n```sh\necho told\n```\n\nA [fold](told.md) of `told`.\n", [9]],
  ])("%s", (path, text, lines) => {
    expect(checkProseFile({ path, text }).map(({ line }) => line)).toEqual(lines);
  });

  test("interfaces and generics between comments do not hide the next comment", () => {
    const text =
      "// One.\nexport interface A<T> {\n  /** Two. */\n  readonly a?: Map<string, T[]>;\n}\n// Three.\n";
    expect(readProse({ path: CODE, text }).map(({ line }) => line)).toEqual([1, 3, 6]);
  });
});

describe("openings", () => {
  test.each([
    "What a batch does.",
    "Who may call.",
    "By what it is recognized.",
    "Whether it runs.",
    "It runs.",
  ])("%s", (opening) => {
    const found = expect.stringContaining("starts with a question fragment or a pronoun");
    expect(messages(CODE, `// ${opening}\n`)).toEqual([found]);
    expect(messages(PAGE, `# Title\n\n${opening}\n`)).toEqual([found]);
  });

  test("later comments may start with them", () => {
    const text = "// Reads rows.\n\n/** Whether the row exists. */\nconst exists = true;\n";
    expect(messages(CODE, text)).toEqual([]);
    expect(messages(CODE, `const one = 1;\n${text.replace("Reads", "What reads")}`)).toEqual([]);
    expect(messages(PAGE, "# What it is\n\nMuster stores events.\n\nWhat follows is detail.\n")).toEqual([]);
  });
});

describe("pronouns", () => {
  const plain = "The relay publishes rows in order. ".repeat(8);

  test("a share above the limit is found", () => {
    expect(messages(CODE, `// ${plain}\n// It reads what they store, one by one.\n`)).toEqual([
      expect.stringContaining("8.9 % of 56 words are pronouns or indefinites"),
    ]);
  });

  test("a share below, or of few words, passes", () => {
    expect(messages(CODE, `// ${plain}\n// It reads what they store.\n`)).toEqual([]);
    expect(messages(CODE, "// Reads what they store, one by one.\n")).toEqual([]);
  });
});

describe("width of pages", () => {
  const wide = `${"word ".repeat(20)}wide`;

  test("a wide line is found, in code blocks too", () => {
    const found = expect.stringContaining("104 columns; at most 100");
    expect(messages(PAGE, `${wide}\n`)).toEqual([found]);
    expect(messages(PAGE, `\`\`\`json\n${wide}\n\`\`\`\n`)).toEqual([found]);
    expect(messages(PAGE, `\`\`\`console\n$ ${wide}\n\`\`\`\n`)).toHaveLength(1);
    expect(messages(CODE, `// ${wide}\n`)).toEqual([]);
  });

  test("tables, command output and unbreakable lines pass", () => {
    expect(messages(PAGE, `| ${wide} |\n`)).toEqual([]);
    expect(messages(PAGE, `\`\`\`console\n$ run\n${wide}\n\`\`\`\n`)).toEqual([]);
    expect(messages(PAGE, `- https://example.com/${"a".repeat(100)}\n`)).toEqual([]);
  });
});

describe("US spelling", () => {
  test("found in identifiers, strings, comments and paths", () => {
    const text = `// Favo${"urs"} rows.\nconst organi${"sationId"} = "behavio${"ur"}"; // ok\n`;
    expect(messages(`packages/core/src/authori${"se"}.ts`, text)).toEqual([
      expect.stringContaining('1: path: British spelling "authori'),
      expect.stringContaining('1: British spelling "Favo'),
      expect.stringContaining('2: British spelling "organi'),
      expect.stringContaining('2: British spelling "behavio'),
    ]);
    expect(messages("config/planted.json", `{ "colo${"ur"}": 1 }\n`)).toHaveLength(1);
  });

  test("look-alikes, translations and the names of others pass", () => {
    const text = `// Organisms advise; analyses, optimistic cancellation, Status.CANCEL${"LED"}.\n`;
    expect(messages(CODE, text)).toEqual([]);
    expect(messages("packages/errors/src/messages/fr.ts", `const text = "utili${"sée"}";\n`)).toEqual([]);
  });
});

describe("allow-list", () => {
  const violating = new Set(["a.ts", "b.ts"]);
  const check = (allowed: readonly string[], filesMax: number): string[] =>
    checkAllowList(allowed, violating, filesMax).map(({ line, message }) => `${line}: ${message}`);

  test("passes while every listed file has a violation", () => {
    expect(check(["a.ts", "b.ts"], 2)).toEqual([]);
  });

  test("a clean, missing or repeated file is a finding", () => {
    expect(check(["a.ts", "clean.ts"], 2)).toEqual([
      expect.stringMatching(/^2: clean\.ts .* remove the line/),
    ]);
    expect(check(["a.ts", "a.ts"], 2)).toEqual([expect.stringMatching(/^2: a\.ts .* remove the line/)]);
  });

  test("a list longer or shorter than its cap is a finding", () => {
    expect(check(["a.ts", "b.ts"], 1)).toEqual([expect.stringContaining("2 files, but")]);
    expect(check(["a.ts"], 2)).toEqual([expect.stringContaining("1 files, but")]);
  });
});
