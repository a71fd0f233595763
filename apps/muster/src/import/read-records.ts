// Reads CSV or NDJSON as records with their line numbers, in constant memory.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parse } from "csv-parse";
import type { FileRecord } from "./map-record.ts";

export interface NumberedRecord {
  /** First line of the record, from 1. */
  readonly line: number;
  /** Undefined for an unreadable line; `problem` holds the reason. */
  readonly record: FileRecord | undefined;
  readonly problem?: string;
}

/** Longer records are refused: an event is at most 128 KiB. */
const RECORD_BYTES_MAX = 1024 * 1024;

export async function* readRecords(
  path: string,
  format: "csv" | "ndjson",
  delimiter: string,
  onBytes: (count: number) => void,
): AsyncGenerator<NumberedRecord> {
  const file = createReadStream(path);
  file.on("data", (chunk) => onBytes(chunk.length));
  if (format === "ndjson") yield* readNdjson(file);
  else yield* readCsv(file, delimiter);
}

async function* readNdjson(file: NodeJS.ReadableStream): AsyncGenerator<NumberedRecord> {
  let line = 0;
  for await (const text of createInterface({ input: file, crlfDelay: Number.POSITIVE_INFINITY })) {
    line += 1;
    if (text.trim() !== "") yield { line, ...readObject(line === 1 ? text.replace(/^\uFEFF/, "") : text) };
  }
}

function readObject(text: string): { record: FileRecord | undefined; problem?: string } {
  if (text.length > RECORD_BYTES_MAX) return { record: undefined, problem: "longer than 1 MiB" };
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return { record: undefined, problem: "not a JSON object" };
    }
    return { record: value as FileRecord };
  } catch {
    return { record: undefined, problem: "not JSON" };
  }
}

interface CsvRow {
  readonly record: string[];
  readonly info: { readonly lines: number };
}

async function* readCsv(file: NodeJS.ReadableStream, delimiter: string): AsyncGenerator<NumberedRecord> {
  const rows = file.pipe(
    parse({
      bom: true,
      delimiter,
      info: true,
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: RECORD_BYTES_MAX,
    }),
  );
  file.on("error", (error) => rows.destroy(error));
  let header: string[] | undefined;
  for await (const { record, info } of rows as AsyncIterable<CsvRow>) {
    // `lines` is the last line of the record; line breaks inside quotes lie before it.
    const line = info.lines - (record.join("").split("\n").length - 1);
    if (header === undefined) header = record;
    else if (record.length !== header.length) {
      yield {
        line,
        record: undefined,
        problem: `${record.length} columns where the header has ${header.length}`,
      };
    } else yield { line, record: Object.fromEntries(header.map((column, place) => [column, record[place]])) };
  }
}
