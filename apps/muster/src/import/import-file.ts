// Imports a file: digest, read, map, send, count. A repeated import stores no duplicates, because an event's
// id is derived from the file's digest and the line.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type ColumnMapping, type ImportedEvent, InvalidRecord, mapRecord } from "./map-record.ts";
import type { Progress } from "./progress.ts";
import { type NumberedRecord, readRecords } from "./read-records.ts";
import { type LineOutcome, type SendOptions, sendBatch } from "./send-batches.ts";

export interface ImportOptions extends SendOptions {
  readonly path: string;
  readonly format: "csv" | "ndjson";
  readonly delimiter: string;
  readonly mapping: ColumnMapping;
  readonly batchSize: number;
  /** Number of batches in flight at once. */
  readonly concurrency: number;
  readonly progress: Progress;
  /** Called for each line that is not an event. */
  readonly onInvalidLine: (line: number, message: string) => void;
}

export interface ImportSummary {
  stored: number;
  duplicates: number;
  bad: number;
}

/** Leaves room below the body limit of 4 MiB, for text that is longer in UTF-8. */
const BATCH_BYTES_MAX = 1024 * 1024;

interface Batch {
  /** JSON text of each event. */
  readonly events: string[];
  readonly lines: number[];
  bytes: number;
}

function emptyBatch(): Batch {
  return { events: [], lines: [], bytes: 0 };
}

export async function importFile(options: ImportOptions): Promise<ImportSummary> {
  const digest = await digestOf(options.path);
  const summary: ImportSummary = { stored: 0, duplicates: 0, bad: 0 };
  const inFlight = new Set<Promise<void>>();
  let bytes = 0;
  let failure: unknown;
  const bad = (line: number, message: string): void => {
    summary.bad += 1;
    options.onInvalidLine(line, message);
  };
  const send = (batch: Batch): void => {
    const sending = sendBatch(batch.events, batch.lines, options)
      .then((outcomes) => {
        count(outcomes, summary, bad);
        options.progress.update(bytes, summary.stored + summary.duplicates);
      })
      .catch((error: unknown) => {
        failure ??= error;
      })
      .finally(() => inFlight.delete(sending));
    inFlight.add(sending);
  };
  let batch = emptyBatch();
  const records = readRecords(options.path, options.format, options.delimiter, (size) => {
    bytes += size;
  });
  for await (const numbered of records) {
    const event = toEvent(numbered, options.mapping, digest, bad);
    if (event === undefined) continue;
    const json = JSON.stringify(event);
    if (batch.events.length >= options.batchSize || batch.bytes + json.length > BATCH_BYTES_MAX) {
      send(batch);
      batch = emptyBatch();
      while (inFlight.size >= options.concurrency) await Promise.race(inFlight);
      if (failure !== undefined) break;
    }
    batch.events.push(json);
    batch.lines.push(numbered.line);
    batch.bytes += json.length;
  }
  if (batch.events.length > 0 && failure === undefined) send(batch);
  await Promise.all(inFlight);
  options.progress.stop();
  if (failure !== undefined) throw failure;
  return summary;
}

function toEvent(
  { line, record, problem }: NumberedRecord,
  mapping: ColumnMapping,
  digest: string,
  bad: (line: number, message: string) => void,
): ImportedEvent | undefined {
  if (record === undefined) {
    bad(line, problem ?? "unreadable");
    return undefined;
  }
  try {
    return mapRecord(record, mapping, `${digest}:${line}`);
  } catch (error) {
    if (!(error instanceof InvalidRecord)) throw error;
    bad(line, error.message);
    return undefined;
  }
}

function count(
  outcomes: readonly LineOutcome[],
  summary: ImportSummary,
  bad: (line: number, message: string) => void,
): void {
  for (const { line, status, message } of outcomes) {
    if (status === "stored") summary.stored += 1;
    else if (status === "duplicate") summary.duplicates += 1;
    else bad(line, message);
  }
}

/** The first 128 bits of the file's SHA-256, as text. */
async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex").slice(0, 32);
}
