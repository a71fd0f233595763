// Parses a filter in RSQL within limits: length, depth, comparisons, and items of a list.
import { type ExpressionNode, getSelector, getValue, isComparisonNode } from "@rsql/ast";
import { parse } from "@rsql/parser";
import { queryError } from "../query-error.ts";
import { type Token, tokensOf } from "./tokens.ts";

const FILTER_CHARACTERS_MAX = 2_000;
const FILTER_DEPTH_MAX = 10;
const FILTER_COMPARISONS_MAX = 50;
const FILTER_LIST_ITEMS_MAX = 100;

export type Operator = "==" | "!=" | "<" | "<=" | ">" | ">=" | "=in=" | "=out=";

/** A comparison as written, before its field and its values are checked. */
export interface ParsedComparison {
  readonly kind: "comparison";
  readonly selector: Token;
  readonly operator: Operator;
  /** Position of the operator. */
  readonly operatorPosition: number;
  readonly values: readonly Token[];
  readonly isList: boolean;
}

export interface ParsedLogic {
  readonly kind: "and" | "or";
  readonly left: ParsedFilter;
  readonly right: ParsedFilter;
}

export type ParsedFilter = ParsedComparison | ParsedLogic;

const SPELLINGS: Readonly<Record<string, Operator>> = {
  "=gt=": ">",
  "=ge=": ">=",
  "=lt=": "<",
  "=le=": "<=",
};

/** FIELD_INVALID with a position for anything that is no filter, or is too large. */
export function parseFilter(filter: string): ParsedFilter {
  const length = [...filter].length;
  if (length > FILTER_CHARACTERS_MAX) {
    const message = `must be at most ${FILTER_CHARACTERS_MAX} characters`;
    throw queryError("filter", message, FILTER_CHARACTERS_MAX);
  }
  const tokens = tokensOf(filter);
  requireWithinLimits(tokens);
  return treeOf(parseTokens(tokens, length), tokens);
}

function requireWithinLimits(tokens: readonly Token[]): void {
  let [depth, comparisons, items] = [0, 0, 0];
  let isInList = false;
  for (const [index, { kind, position }] of tokens.entries()) {
    if (kind === "open") {
      isInList = tokens[index - 1]?.kind === "operator";
      items = 0;
      if (!isInList && ++depth > FILTER_DEPTH_MAX) {
        throw queryError("filter", `must nest at most ${FILTER_DEPTH_MAX} parentheses`, position);
      }
    } else if (kind === "close") {
      if (!isInList) depth -= 1;
      isInList = false;
    } else if (kind === "operator" && ++comparisons > FILTER_COMPARISONS_MAX) {
      throw queryError("filter", `must have at most ${FILTER_COMPARISONS_MAX} comparisons`, position);
    } else if (isInList && (kind === "word" || kind === "quoted") && ++items > FILTER_LIST_ITEMS_MAX) {
      throw queryError("filter", `must have at most ${FILTER_LIST_ITEMS_MAX} items in a list`, position);
    }
  }
}

/**
 * The parser receives the number of a token in place of its text. So every node leads back to its token, with quotes
 * and position, and the parser's rules for escapes and bare words do not apply.
 */
function parseTokens(tokens: readonly Token[], length: number): ExpressionNode {
  let source = "";
  const starts = tokens.map((token, index) => {
    const start = source.length;
    source += `${placeholderOf(token, index)} `;
    return start;
  });
  try {
    return parse(source);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    if (error.message.startsWith("Unexpected end")) throw queryError("filter", "ends too early", length);
    // The parser counts from 1.
    const at = Number(/ at position (\d+)/.exec(error.message)?.[1] ?? 1) - 1;
    const token = tokens[starts.findLastIndex((start) => start <= at)];
    throw queryError(
      "filter",
      "must have comparisons with and (;) or or (,) between them",
      token?.position ?? 0,
    );
  }
}

function placeholderOf({ kind, text }: Token, index: number): string {
  if (kind === "word") return `t${index}`;
  if (kind === "quoted") return `"t${index}"`;
  if (kind === "and") return ";";
  return kind === "or" ? "," : text;
}

function treeOf(node: ExpressionNode, tokens: readonly Token[]): ParsedFilter {
  if (!isComparisonNode(node)) {
    const kind = node.operator === ";" ? "and" : "or";
    return { kind, left: treeOf(node.left, tokens), right: treeOf(node.right, tokens) };
  }
  const value = getValue(node);
  const selectorIndex = indexOf(getSelector(node));
  return {
    kind: "comparison",
    selector: tokenAt(tokens, selectorIndex),
    operator: SPELLINGS[node.operator] ?? (node.operator as Operator),
    operatorPosition: tokenAt(tokens, selectorIndex + 1).position,
    values: [value].flat().map((placeholder) => tokenAt(tokens, indexOf(placeholder))),
    isList: Array.isArray(value),
  };
}

function indexOf(placeholder: string): number {
  return Number(placeholder.slice(1));
}

function tokenAt(tokens: readonly Token[], index: number): Token {
  const token = tokens[index];
  if (token === undefined) throw new RangeError("a node of the filter has no token");
  return token;
}
