// `muster import FILE`: a client of a running server.
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { systemClock } from "@muster/core";
import { type Command, InvalidArgumentError } from "commander";
import { type ImportSummary, importFile } from "../import/import-file.ts";
import type { ColumnMapping } from "../import/map-record.ts";
import { showProgress } from "../import/progress.ts";
import { type ServerFlags, serverOf } from "../import/server-access.ts";
import { wholeNumber } from "./demo-data.ts";

interface ImportFlags extends ServerFlags {
  readonly format?: string;
  readonly delimiter: string;
  readonly userColumn?: string;
  readonly anonymousColumn?: string;
  readonly eventColumn?: string;
  readonly timeColumn?: string;
  readonly map: ReadonlyMap<string, string>;
  readonly number: readonly string[];
  readonly skip: readonly string[];
  readonly batchSize: number;
  readonly concurrency: number;
}

const EXAMPLE = `
Columns that are not named by a flag become properties. An event's id is made of the file's digest and
its line, so running the same import again doubles nothing.

Examples:
  muster import shop.csv
  muster import visits.csv --event-column event_type --time-column event_time \\
    --map view=product.viewed --map cart=cart.added --map purchase=order.completed --number price
  zcat events.ndjson.gz | muster import - --format ndjson`;

export function addImportCommand(program: Command): void {
  program
    .command("import")
    .argument("<file>", "CSV with a header line, or NDJSON; - for standard input")
    .description("Send the events of a file to a running server")
    .option("--url <url>", "the server's REST address (default: MUSTER_URL, else http://127.0.0.1:3000)")
    .option("--api-key <key>", "an API key with events.write (default: MUSTER_API_KEY, else the demo key)")
    .option("--format <format>", "csv or ndjson (default: by the file's name)", format)
    .option("--delimiter <character>", "separator of CSV columns", ",")
    .option("--user-column <column>", "column of the user id (default: user_id)")
    .option(
      "--anonymous-column <column>",
      "column of the anonymous id, for lines without a user id (default: anonymous_id)",
    )
    .option("--event-column <column>", "column of the event's name (default: name, event_name or event_type)")
    .option("--time-column <column>", "column of the time (default: timestamp, event_time or time)")
    .option("--map <from=to>", "rename an event; repeatable", rename, new Map<string, string>())
    .option("--number <column>", "a column of numbers; repeatable", collect, [])
    .option("--skip <column>", "leave the column out; repeatable", collect, [])
    .option("--batch-size <count>", "events per request", wholeNumber, 500)
    .option("--concurrency <count>", "requests in flight at once", wholeNumber, 4)
    .addHelpText("after", EXAMPLE)
    .action(async (file: string, flags: ImportFlags) => runImport(file, flags));
}

async function runImport(file: string, flags: ImportFlags): Promise<void> {
  const server = await serverOf(flags);
  const spooled = file === "-" ? await spoolStandardInput() : undefined;
  const path = spooled?.path ?? file;
  try {
    const size = (await stat(path)).size;
    const summary = await importFile({
      path,
      server,
      clock: systemClock,
      attemptsMax: 60,
      format: (flags.format ?? (/\.(ndjson|jsonl)$/i.test(file) ? "ndjson" : "csv")) as "csv" | "ndjson",
      delimiter: flags.delimiter,
      mapping: mappingOf(flags),
      batchSize: Math.min(flags.batchSize, 5000),
      concurrency: flags.concurrency,
      progress: showProgress(size, process.stderr),
      onInvalidLine: (line, message) => process.stderr.write(`line ${line}: ${message}\n`),
    });
    report(summary);
  } finally {
    await spooled?.remove();
  }
}

function report({ stored, duplicates, bad }: ImportSummary): void {
  process.stdout.write(`${stored} stored, ${duplicates} already there, ${bad} bad\n`);
  if (bad > 0) process.exitCode = 1;
}

function mappingOf(flags: ImportFlags): ColumnMapping {
  const or = (column: string | undefined, defaults: string[]): string[] =>
    column === undefined ? defaults : [column];
  return {
    userColumns: or(flags.userColumn, ["user_id"]),
    anonymousColumns: or(flags.anonymousColumn, ["anonymous_id"]),
    nameColumns: or(flags.eventColumn, ["name", "event_name", "event_type"]),
    timeColumns: or(flags.timeColumn, ["timestamp", "event_time", "time"]),
    renames: flags.map,
    numberColumns: new Set(flags.number),
    skippedColumns: new Set(flags.skip),
  };
}

/** The digest must be known before the first line is sent, so a pipe is written to disk first. */
async function spoolStandardInput(): Promise<{ path: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "muster-import-"));
  const path = join(folder, "input");
  await pipeline(process.stdin, createWriteStream(path));
  return { path, remove: () => rm(folder, { recursive: true }) };
}

function rename(text: string, renames: Map<string, string>): Map<string, string> {
  const [from, to] = text.split("=");
  if (!from || !to) throw new InvalidArgumentError("Give it as from=to.");
  return renames.set(from, to);
}

function collect(text: string, all: readonly string[]): readonly string[] {
  return [...all, text];
}

function format(text: string): "csv" | "ndjson" {
  if (text !== "csv" && text !== "ndjson") throw new InvalidArgumentError("Give csv or ndjson.");
  return text;
}
