// Checks single source files: calls that make code untestable, adapters chosen outside their place, lengths,
// and notes without an issue.
import { stripTypeScriptTypes } from "node:module";
import { type Node, parse } from "acorn";
import { type Finding, isGenerated, isTestOrTool, type SourceFile } from "./source-files.ts";

export const FILE_LINES_WARN = 250;
export const FILE_LINES_MAX = 300;
export const FUNCTION_LINES_MAX = 70;

interface BannedCall {
  readonly what: string;
  /** Folders in which the call is allowed. */
  readonly allowedIn: readonly string[];
  readonly instead: string;
}

const CLOCK: Omit<BannedCall, "what"> = {
  allowedIn: ["packages/core/", "packages/log/"],
  instead: "take a Clock (packages/core)",
};
const RANDOM: Omit<BannedCall, "what"> = {
  allowedIn: ["packages/core/"],
  instead: "take an IdSource (packages/core), or node:crypto for secrets",
};
const ENVIRONMENT: Omit<BannedCall, "what"> = {
  allowedIn: ["packages/config/"],
  instead: "add a variable to packages/config",
};
const CONSOLE: Omit<BannedCall, "what"> = {
  allowedIn: ["packages/log/"],
  instead: "take a Logger (packages/log)",
};

/**
 * Constructors of adapters: exported by packages/db and packages/bus, imported by the platform files only.
 */
const ADAPTERS = new Set(["openSqlite", "openMysql", "EmbeddedBus", "JetStreamBus"]);
const ADAPTER_HOMES = ["packages/db/", "packages/bus/", "apps/muster/src/platform/platform-"];

export function checkSourceFile(file: SourceFile): Finding[] {
  if (isGenerated(file.path)) return [];
  const findings = [...checkNotes(file)];
  if (!/\.(ts|js)$/.test(file.path)) return findings;
  findings.push(...checkFileLength(file));
  const program = parseSource(file);
  findings.push(...checkSpreads(file.path, program));
  findings.push(...checkProperties(file.path, program));
  if (isTestOrTool(file.path)) return findings;
  findings.push(...checkSyntax(file.path, program), ...checkRetryLines(file.path, program));
  return findings;
}

function checkFileLength({ path, text }: SourceFile): Finding[] {
  const lines = text.split("\n").length - 1;
  if (isTestOrTool(path) || lines <= FILE_LINES_WARN) return [];
  const tooLong = lines > FILE_LINES_MAX;
  const message = `${lines} lines; ${tooLong ? `at most ${FILE_LINES_MAX}` : `aim for ${FILE_LINES_WARN}`}: split it by meaning`;
  return [{ path, line: 1, message, warning: !tooLong }];
}

// Written so that this file does not find itself.
const UNOWNED_NOTE = new RegExp(`\\b${"TO"}DO\\b(?!\\(#\\d+\\):)`);
const BROKEN_NOTE = new RegExp(`\\b${"FIX"}ME\\b`);

function checkNotes({ path, text }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (BROKEN_NOTE.test(line))
      findings.push({ path, line: index + 1, message: "fix it now or file an issue" });
    if (UNOWNED_NOTE.test(line)) {
      findings.push({ path, line: index + 1, message: "a note of work to do names its issue, as in (#12):" });
    }
  }
  return findings;
}

type AnyNode = Node & Record<string, unknown>;

function parseSource({ path, text }: SourceFile): AnyNode {
  // Types become blanks, so lines and columns stay.
  const script = path.endsWith(".ts") ? stripTypeScriptTypes(text) : text;
  return parse(script, {
    ecmaVersion: "latest",
    sourceType: "module",
    locations: true,
  }) as unknown as AnyNode;
}

function checkSpreads(path: string, program: AnyNode): Finding[] {
  const findings: Finding[] = [];
  visit(program, (node) => {
    if (node.type !== "SpreadElement" || !isNode(node.argument)) return;
    if (node.argument.type !== "ObjectExpression") return;
    const message = "a spread of an object literal: write its fields out";
    findings.push({ path, line: node.loc?.start.line ?? 0, message });
  });
  return findings;
}

/** The only caller of fast-check's own functions, so that `make test-long` reaches every property. */
const PROPERTY_HOME = "packages/testkit/src/check-property.ts";

function checkProperties(path: string, program: AnyNode): Finding[] {
  const findings: Finding[] = [];
  if (path === PROPERTY_HOME) return findings;
  visit(program, (node) => {
    if (node.type !== "MemberExpression" || !isNode(node.object) || !isNode(node.property)) return;
    const [holder, name] = [nameOf(node.object), nameOf(node.property)];
    if (holder !== "fc" || (name !== "assert" && name !== "check")) return;
    const message = `fc.${name} is banned here: call checkProperty (packages/testkit)`;
    findings.push({ path, line: node.loc?.start.line ?? 0, message });
  });
  return findings;
}

function checkSyntax(path: string, program: AnyNode): Finding[] {
  const findings: Finding[] = [];
  visit(program, (node) => {
    const line = node.loc?.start.line ?? 0;
    for (const banned of bannedCalls(node)) {
      if (banned.allowedIn.some((folder) => path.startsWith(folder))) continue;
      findings.push({ path, line, message: `${banned.what} is banned here: ${banned.instead}` });
    }
    for (const name of importedNames(node)) {
      if (!ADAPTERS.has(name) || ADAPTER_HOMES.some((home) => path.startsWith(home))) continue;
      const message = `${name} is an adapter: only apps/muster/src/platform/platform-*.ts chooses one`;
      findings.push({ path, line, message });
    }
    const lines = functionLines(node);
    if (lines > FUNCTION_LINES_MAX) {
      findings.push({ path, line, message: `a function of ${lines} lines; at most ${FUNCTION_LINES_MAX}` });
    }
  });
  const seen = new Set<string>(); // `globalThis.console.log` matches twice.
  return findings.filter(({ line, message }) => {
    const isNew = !seen.has(`${line} ${message}`);
    seen.add(`${line} ${message}`);
    return isNew;
  });
}

/** A retry may run for hours, so only a condition or a FailureLog may write a line for it. */
function checkRetryLines(path: string, program: AnyNode): Finding[] {
  const findings: Finding[] = [];
  const enter = (node: AnyNode, isConditional: boolean): void => {
    if (!isConditional && isRetryLine(node)) {
      const message = "a line for each retry floods the log: use FailureLog or OutageLog (packages/log)";
      findings.push({ path, line: node.loc?.start.line ?? 0, message });
    }
    const isCondition = node.type === "IfStatement" || (isConditional && !FUNCTIONS.has(node.type));
    for (const child of childrenOf(node)) enter(child, isCondition);
  };
  enter(program, false);
  return findings;
}

function isRetryLine(node: AnyNode): boolean {
  if (node.type !== "CallExpression" || !isNode(node.callee) || !Array.isArray(node.arguments)) return false;
  const method = isNode(node.callee.property) ? nameOf(node.callee.property) : "";
  const text: unknown = node.arguments[1];
  return /^(warn|error)$/.test(method) && isNode(text) && /retr(y|ies)/.test(nameOf(text));
}

function visit(node: AnyNode, enter: (node: AnyNode) => void): void {
  enter(node);
  for (const child of childrenOf(node)) visit(child, enter);
}

function childrenOf(node: AnyNode): AnyNode[] {
  return Object.values(node).flat().filter(isNode);
}

function isNode(value: unknown): value is AnyNode {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function bannedCalls(node: AnyNode): BannedCall[] {
  if (node.type === "MemberExpression" && isNode(node.object) && isNode(node.property)) {
    return bannedMember(nameOf(node.object), nameOf(node.property));
  }
  if (node.type === "VariableDeclarator" && isNode(node.id) && node.id.type === "ObjectPattern") {
    const holder = isNode(node.init) ? nameOf(node.init) : "";
    return keysOf(node.id, "properties", "key").flatMap((key) => bannedMember(holder, key));
  }
  if (node.type === "NewExpression" && isNode(node.callee) && nameOf(node.callee) === "Date") {
    const isEmpty = Array.isArray(node.arguments) && node.arguments.length === 0;
    return isEmpty ? [{ what: "new Date() for now", ...CLOCK }] : [];
  }
  if (node.type === "CallExpression" && isNode(node.callee) && node.callee.type === "Identifier") {
    return nameOf(node.callee) === "Date" ? [{ what: "Date() for now", ...CLOCK }] : [];
  }
  if (node.type === "ImportDeclaration" && isNode(node.source)) {
    const source = String(node.source.value).replace(/^node:/, "");
    const names = importedNames(node);
    if (source === "process" && names.includes("env")) return [{ what: "process.env", ...ENVIRONMENT }];
    if (source === "console") return [{ what: "console", ...CONSOLE }];
  }
  return [];
}

function bannedMember(holder: string, key: string): BannedCall[] {
  if (holder === "console" || (holder === "globalThis" && key === "console")) {
    return [{ what: "console", ...CONSOLE }];
  }
  if (holder === "Date" && key === "now") return [{ what: "Date.now", ...CLOCK }];
  if (holder === "Math" && key === "random") return [{ what: "Math.random", ...RANDOM }];
  if (holder === "process" && key === "env") return [{ what: "process.env", ...ENVIRONMENT }];
  return [];
}

function importedNames(node: AnyNode): string[] {
  if (node.type !== "ImportDeclaration" && node.type !== "ExportNamedDeclaration") return [];
  if (!isNode(node.source)) return [];
  return keysOf(node, "specifiers", node.type === "ImportDeclaration" ? "imported" : "local");
}

function keysOf(node: AnyNode, list: string, key: string): string[] {
  const items = node[list];
  if (!Array.isArray(items)) return [];
  return items.map((item) => (isNode(item) && isNode(item[key]) ? nameOf(item[key]) : ""));
}

/** `Date` of `Date`, `now` of `["now"]`, and `Date` of `globalThis.Date`. */
function nameOf(node: AnyNode): string {
  if (node.type === "Identifier") return String(node.name);
  if (node.type === "Literal") return String(node.value);
  if (node.type === "MemberExpression" && isNode(node.object) && isNode(node.property)) {
    return nameOf(node.object) === "globalThis" ? nameOf(node.property) : "";
  }
  return "";
}

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

function functionLines(node: AnyNode): number {
  if (!FUNCTIONS.has(node.type) || node.loc == null) return 0;
  return node.loc.end.line - node.loc.start.line + 1;
}
