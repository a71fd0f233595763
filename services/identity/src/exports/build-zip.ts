// Builds the ZIP of an export as a stream of bounded memory: a JSON file for each section, then the manifest.
import { createHash } from "node:crypto";
import type { Database } from "@muster/db";
import { makeZip } from "client-zip";
import type { ExportSection, ExportSubject } from "../export-sections/export-section.ts";
import { exportSections } from "../export-sections/export-sections.ts";

/** Bytes of a file that are hashed and passed on at once. */
const PIECE_BYTES = 64 * 1024;
const FORMAT_VERSION = 1;

export interface ZipOptions {
  readonly database: Database;
  readonly exportId: string;
  readonly subject: ExportSubject;
  readonly nowMs: number;
}

interface ManifestFile {
  readonly name: string;
  readonly schema_version: number;
  readonly records: number;
  readonly size: number;
  readonly sha256: string;
}

/** The bytes of the ZIP, in pieces of any size. */
export function buildZip(options: ZipOptions): AsyncIterable<Uint8Array> {
  return makeZip(filesOf(options)) as unknown as AsyncIterable<Uint8Array>;
}

/** Each file is read to its end before the next one begins. */
async function* filesOf(options: ZipOptions) {
  const lastModified = new Date(options.nowMs);
  const files: ManifestFile[] = [];
  for (const section of exportSections) {
    const input = hashed(options, section, (file) => files.push(file));
    yield { name: section.fileName, lastModified, input };
  }
  const { exportId, subject, nowMs } = options;
  const manifest = {
    format_version: FORMAT_VERSION,
    export_id: exportId,
    organization_id: subject.organizationId,
    user_id: subject.userId,
    create_time: new Date(nowMs).toISOString(),
    files,
  };
  yield { name: "manifest.json", lastModified, input: `${JSON.stringify(manifest, null, 2)}\n` };
}

async function* hashed(
  { database, subject }: ZipOptions,
  section: ExportSection,
  end: (file: ManifestFile) => void,
): AsyncIterable<Uint8Array> {
  const hash = createHash("sha256");
  let size = 0;
  let records = 0;
  let text = "[";
  const piece = (): Buffer => {
    const bytes = Buffer.from(text, "utf8");
    hash.update(bytes);
    size += bytes.length;
    text = "";
    return bytes;
  };
  for await (const record of section.records(database, subject)) {
    text += `${records === 0 ? "\n" : ",\n"}${record}`;
    records += 1;
    if (text.length >= PIECE_BYTES) yield piece();
  }
  text += records === 0 ? "]\n" : "\n]\n";
  yield piece();
  end({
    name: section.fileName,
    schema_version: section.schemaVersion,
    records,
    size,
    sha256: hash.digest("hex"),
  });
}
