// Pure. Defines every limit of a predicate: the size of its text and tree, and the work of one evaluation.

/** Bytes of the predicate's text in UTF-8. */
export const PREDICATE_SOURCE_BYTES_MAX = 2048;
/** Nesting of the text (brackets, ternaries) and of its syntax tree. Chains of && or || count once. */
export const PREDICATE_DEPTH_MAX = 32;
/** Comprehensions (exists, all, exists_one, filter, map) inside the body of another one. */
export const COMPREHENSION_NESTING_MAX = 1;
/** Nodes of the syntax tree below a comprehension's body. */
export const COMPREHENSION_BODY_NODES_MAX = 64;
/** Items of one comprehension; a longer list or map makes the predicate false. */
export const COMPREHENSION_ITEMS_MAX = 1000;
/** Worst-case cost: nodes visited when every comprehension has the most items. */
export const PREDICATE_COST_STEPS_MAX = 100_000;
/**
 * Most units of work in one evaluation, about 20 ms. A unit is about 20 ns: a visited node, or a character of
 * a searched or joined text. See below for other units. A larger evaluation makes the predicate false. Units,
 * unlike a time, give the same result on every machine.
 */
export const EVALUATION_UNITS_MAX = 1_048_576;
/** Units of a microsecond, for budgets in microseconds. */
export const UNITS_PER_MICROSECOND = 50;
/** Units per value compared by deep equality or list membership. */
export const UNITS_PER_VALUE = 4;
/** Units per key of a map that is counted, visited or compared: reading the keys of a map is slow. */
export const UNITS_PER_KEY = 10;
/** Units of a conversion between numbers and texts. */
export const UNITS_PER_CONVERSION = 10;
/** Texts of timestamps and durations beyond this length are refused unread. */
export const TIME_TEXT_LENGTH_MAX = 64;
