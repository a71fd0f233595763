// Pure. Every bound of a predicate: what may be saved, and how much work one evaluation may do.

/** The text of a predicate, in UTF-8. */
export const PREDICATE_SOURCE_BYTES_MAX = 2048;
/** Nesting of the text (brackets, ternaries) and of its syntax tree. Chains of && or || count once. */
export const PREDICATE_DEPTH_MAX = 32;
/** Comprehensions (exists, all, exists_one, filter, map) inside the body of another one. */
export const COMPREHENSION_NESTING_MAX = 1;
/** Nodes of the syntax tree below a comprehension's body. */
export const COMPREHENSION_BODY_NODES_MAX = 64;
/** Items one comprehension walks; a longer list or map makes the predicate false. */
export const COMPREHENSION_ITEMS_MAX = 1000;
/** The static estimate of the worst case: nodes visited, comprehensions taken as full. */
export const PREDICATE_COST_STEPS_MAX = 100_000;
/**
 * What one evaluation may touch in all: a character of a searched or joined text is one unit, see below for
 * the rest. Past it the predicate is false. Some 20 ms, though the same on every machine, unlike a time.
 */
export const EVALUATION_SCAN_UNITS_MAX = 1_048_576;
/** One value compared by deep equality or list membership. */
export const SCAN_UNITS_PER_VALUE = 4;
/** One key of a map that is counted, walked or compared: maps give their keys slowly. */
export const SCAN_UNITS_PER_KEY = 8;
