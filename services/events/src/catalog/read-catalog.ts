// Reads the default event types from YAML and reports each problem with file and line.
import { isMap, isNode, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from "yaml";
import {
  EVENT_TYPES_MAX,
  type EventType,
  type EventTypeInput,
  eventTypeOf,
  eventTypeProblems,
} from "./event-type.ts";

/** The message lists one problem per line, each with file and line number. */
export class CatalogError extends Error {
  override name = "CatalogError";
}

const SHAPE = "the file holds one key, event_types: a list of types with name, description and price";

/** `file` names the source in error messages. */
export function readCatalog(text: string, file: string): EventType[] {
  const reader = new Reader(text, file);
  const types = reader.read();
  reader.throwIfInvalid();
  return types;
}

class Reader {
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #document: ReturnType<typeof parseDocument>;
  readonly #problems: string[] = [];

  constructor(text: string, file: string) {
    this.#file = file;
    this.#document = parseDocument(text, { lineCounter: this.#lines, uniqueKeys: true, version: "1.2" });
  }

  throwIfInvalid(): void {
    if (this.#problems.length > 0) throw new CatalogError(this.#problems.join("\n"));
  }

  read(): EventType[] {
    for (const error of this.#document.errors) {
      this.#report(error.pos[0], error.message.split("\n")[0]?.replace(/ at line \d+.*$/, "") ?? error.code);
    }
    if (this.#problems.length > 0) return [];
    const { contents } = this.#document;
    const root = isMap(contents) ? contents : undefined;
    for (const pair of root?.items ?? []) {
      if (keyOf(pair) !== "event_types")
        this.#report(startOf(pair.key), `${keyOf(pair)} is not a key of the file`);
    }
    const list = root?.get("event_types");
    if (!isSeq(list)) {
      this.#report(startOf(list ?? contents), SHAPE);
      return [];
    }
    if (list.items.length > EVENT_TYPES_MAX) this.#report(startOf(list), `at most ${EVENT_TYPES_MAX} types`);
    const names = new Set<string>();
    return list.items.flatMap((item) => {
      const type = this.#readType(item);
      if (type === undefined) return [];
      if (names.has(type.name)) this.#report(startOf(item), `${type.name} is listed twice`);
      names.add(type.name);
      return [type];
    });
  }

  #readType(item: unknown): EventType | undefined {
    if (!isMap(item)) {
      this.#report(startOf(item), SHAPE);
      return undefined;
    }
    const input = {
      name: this.#text(item, "name"),
      description: item.has("description") ? this.#text(item, "description") : "",
      price: this.#number(item, "price"),
    };
    for (const pair of item.items) {
      const key = keyOf(pair);
      if (!Object.hasOwn(input, key))
        this.#report(startOf(pair.key), `${key} is not a field of an event type`);
    }
    if (!isComplete(input)) return undefined;
    for (const { field, message } of eventTypeProblems(input)) {
      this.#report(startOf(item.get(field, true) ?? item), `${field} ${message}`);
    }
    return eventTypeOf(input);
  }

  #text(item: YAMLMap, name: string): string | undefined {
    const value = item.get(name);
    if (typeof value === "string") return value;
    this.#reportInvalid(item, name, "a string");
    return undefined;
  }

  #number(item: YAMLMap, name: string): number | undefined {
    const value = item.get(name);
    if (typeof value === "number") return value;
    this.#reportInvalid(item, name, "a number");
    return undefined;
  }

  #reportInvalid(item: YAMLMap, name: string, expected: string): void {
    const node = item.get(name, true);
    this.#report(
      startOf(node ?? item),
      `${name} ${node === undefined ? "is missing" : `must be ${expected}`}`,
    );
  }

  #report(offset: number, what: string): void {
    this.#problems.push(`${this.#file}:${Math.max(1, this.#lines.linePos(offset).line)}: ${what}`);
  }
}

function isComplete(input: {
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly price: number | undefined;
}): input is EventTypeInput {
  return input.name !== undefined && input.description !== undefined && input.price !== undefined;
}

function keyOf(pair: Pair): string {
  return String(isScalar(pair.key) ? pair.key.value : pair.key);
}

function startOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}
