// Finds a key that an object of a JSON text has twice. JSON.parse keeps the last value of such a key without notice.

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_BRACKET = 91;
const BACKSLASH = 92;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * The path of the first repeated key, such as "events[0].properties.color"; undefined without one. `value` is what
 * JSON.parse made of the text.
 */
export function findRepeatedKey(text: string, value: unknown): string | undefined {
  // The value has only the keys that differ.
  return countWrittenKeys(text) === countKeys(value) ? undefined : readRepeatedKey(text);
}

/** The strings of the text before a colon. */
function countWrittenKeys(text: string): number {
  let keys = 0;
  for (let start = text.indexOf('"'); start >= 0; ) {
    let next = endOfString(text, start) + 1;
    while (text.charCodeAt(next) <= SPACE) next += 1;
    if (text.charCodeAt(next) === COLON) keys += 1;
    start = text.indexOf('"', next);
  }
  return keys;
}

/** The keys of all objects in the value. Not recursive, because the nesting may be any. */
function countKeys(value: unknown): number {
  let keys = 0;
  const open: object[] = typeof value === "object" && value !== null ? [value] : [];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (Array.isArray(next)) {
      for (const item of next) if (typeof item === "object" && item !== null) open.push(item);
      continue;
    }
    for (const key in next) {
      keys += 1;
      const child = (next as Record<string, unknown>)[key];
      if (typeof child === "object" && child !== null) open.push(child);
    }
  }
  return keys;
}

/** Index of the quote that ends the string beginning at `start`; the length of the text without one. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}

/** An object or array whose end was not read yet. */
interface OpenValue {
  /** Undefined for an array. */
  readonly keys: Set<string> | undefined;
  /** The key or index of the value that is read. */
  at: string | number;
}

function readRepeatedKey(text: string): string | undefined {
  const open: OpenValue[] = [];
  let lastString = "";
  for (let index = 0; index < text.length; index++) {
    const inner = open.at(-1);
    switch (text.charCodeAt(index)) {
      case QUOTE: {
        const end = endOfString(text, index);
        lastString = text.slice(index, end + 1);
        index = end;
        break;
      }
      case COLON: {
        const key: string = JSON.parse(lastString);
        if (inner?.keys === undefined) return undefined;
        inner.at = key;
        if (inner.keys.has(key)) return pathOf(open);
        inner.keys.add(key);
        break;
      }
      case COMMA:
        if (typeof inner?.at === "number") inner.at += 1;
        break;
      case OPEN_BRACE:
        open.push({ keys: new Set(), at: "" });
        break;
      case OPEN_BRACKET:
        open.push({ keys: undefined, at: 0 });
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        open.pop();
        break;
    }
  }
  return undefined;
}

/** Keys are the client's own text, and the path becomes part of an error message. */
const PATH_CHARACTERS_MAX = 120;

function pathOf(open: readonly OpenValue[]): string {
  let path = "";
  for (const { at } of open) {
    if (typeof at === "number") path += `[${at}]`;
    else path += path === "" ? at : `.${at}`;
  }
  const isLong = path.length > PATH_CHARACTERS_MAX;
  return (isLong ? `${path.slice(0, PATH_CHARACTERS_MAX - 1)}…` : path).toWellFormed();
}
