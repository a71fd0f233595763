// Pure. Defines what the compile functions of all kinds of nodes share.
import type { Node } from "../parse/syntax-tree.ts";
import type { Problem, Run } from "../values/values.ts";

/** Returns a JSON value, an instant, a span or a problem. */
export type Evaluate = (run: Run) => unknown;

export interface Compiler {
  readonly compile: (node: Node) => Evaluate;
  /** Created at compile time, so that an evaluation creates no problems. */
  readonly problem: (node: Node, reason: string) => Problem;
}
