// Streams the records of a person in parts, each part when its reader takes the part before.
import { withTimeout } from "@muster/core";
import { AppError } from "@muster/errors";
import { callbackStream } from "../feed/callback-stream.ts";
import type { ExportedRecord } from "./export-records.ts";
import { type ExportDeps, type ExportSubject, readRecords } from "./read-person-export.ts";

/** Groups records into parts of bounded size, and passes each part on. */
export interface PartWriter {
  add(record: ExportedRecord): Promise<void>;
  /** Passes on what is left. */
  finish(): Promise<void>;
}

/** An idle reader is ended after this time, because the open snapshot prevents cleanup in the database. */
const READER_IDLE_MS_MAX = 30_000;

/** Throws OVERLOADED when too many exports run, or when the reader is idle. */
export function exportStream<Part>(
  deps: ExportDeps,
  subject: ExportSubject,
  writerTo: (put: (part: Part) => Promise<void>) => PartWriter,
): AsyncGenerator<Part> {
  return callbackStream<Part>(subject.signal, async (put) => {
    const writer = writerTo((part) =>
      withTimeout(deps.clock, READER_IDLE_MS_MAX, put(part), () => {
        throw new AppError("OVERLOADED");
      }),
    );
    await readRecords(deps, subject, (record) => writer.add(record));
    await writer.finish();
  });
}
