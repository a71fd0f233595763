// Writes messages, errors, rows and outbox messages as readable text. Pure.

import { createHash } from "node:crypto";
import { type DescMessage, fromBinary, getOption, isMessage, type Message, toJson } from "@bufbuild/protobuf";
import { HttpBodySchema } from "@muster/contracts/google/api/httpbody_pb";
import { file_muster_events_v1_events_events } from "@muster/contracts/muster/events/v1/events_events_pb";
import { file_muster_identity_v1_identity_events } from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { domain_event } from "@muster/contracts/muster/options/v1/options_pb";
import { PreviewSegmentResponseSchema } from "@muster/contracts/muster/segments/v1/segment_preview_pb";
import {
  file_muster_segments_v1_segments_events,
  MembershipsChangedSchema,
} from "@muster/contracts/muster/segments/v1/segments_events_pb";
import { bytesToUuid, isUuid } from "@muster/core";
import { AppError } from "@muster/errors";
import type { Row, RowChange } from "./table-snapshot.ts";

const EVENT_FILES = [
  file_muster_events_v1_events_events,
  file_muster_identity_v1_identity_events,
  file_muster_segments_v1_segments_events,
];
/** The message of each type of domain events. */
const DOMAIN_EVENTS = new Map(
  EVENT_FILES.flatMap(({ messages }) => messages).flatMap((schema) =>
    getOption(schema, domain_event).map((type) => [type, schema] as const),
  ),
);
/** Sealed or salted at random, so different in every run; or times in binary. */
const SEALED_COLUMNS = new Set(["password_hash", "payload", "response", "sent_times", "successor_seal"]);
const LINE_WIDTH = 110;
const JSON_LENGTH_MAX = 8000;
const BYTES_SHOWN_MAX = 96;

export function renderMessage(schema: DescMessage, message: Message): string {
  // Shards are scanned at the same time, and the first profiles found are shown: here by id.
  if (isMessage(message, PreviewSegmentResponseSchema)) message.sample.sort((a, b) => (a.id < b.id ? -1 : 1));
  if (isMessage(message, HttpBodySchema) && message.contentType === JSON_TYPE) {
    return `${JSON_TYPE} ${renderJson(JSON.parse(Buffer.from(message.data).toString()))}`;
  }
  return renderJson(toJson(schema, message));
}

const JSON_TYPE = "application/json";

export function renderError(error: unknown): string {
  if (!(error instanceof AppError)) throw error;
  const { codeName, reason, message, fields, details, retryAfterMs, replayed } = error;
  const extra = {
    ...(fields.length > 0 && { fields }),
    ...(Object.keys(details).length > 0 && { details }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(replayed && { replayed }),
  };
  return renderJson({ code: codeName, reason, message, ...extra });
}

function renderJson(json: unknown): string {
  const line = JSON.stringify(json);
  if (line.length > JSON_LENGTH_MAX) return `<${line.length} characters of JSON>`;
  return line.length <= LINE_WIDTH ? line : JSON.stringify(json, null, 2);
}

/** The outbox rows first, decoded; then all others. */
export function renderChanges(service: string, changes: readonly RowChange[]): string[] {
  const outbox = changes.filter(({ table }) => table === "outbox_messages");
  const others = changes.filter(({ table }) => table !== "outbox_messages");
  return [
    ...outbox.map((change) => renderOutboxChange(service, change)),
    ...sortedHashes(others.map((change) => renderRowChange(service, change))),
  ];
}

/** Rows whose key is a hash stand in a random order: here by their text, at the place of the first. */
function sortedHashes(rows: readonly string[]): string[] {
  const sorted = rows.filter(isKeyedByHash).sort();
  return rows.map((row) => (isKeyedByHash(row) ? (sorted.shift() ?? row) : row));
}

function isKeyedByHash(row: string): boolean {
  // The text of a changed refresh token does not contain its key.
  return /^.*\n? *\w+_(?:hash|key)=<32 bytes>|^rows \w+: ~ refresh_tokens /.test(row);
}

function renderOutboxChange(service: string, { before, after }: RowChange): string {
  const row = after ?? before;
  const type = Buffer.from(row?.type as Uint8Array).toString();
  const head = `outbox ${service}: ${markOf(before, after)} ${type} at ${row?.shard}/${row?.position}`;
  if (row === undefined || after === undefined) return head;
  const schema = DOMAIN_EVENTS.get(type);
  if (schema === undefined) throw new Error(`an unknown domain event: ${type}`);
  // The message id is left out, because a transaction that ran again drew a second id.
  const items = `items_through=${row.items_through}`;
  return `${head} ${items}\n${indent(renderMessage(schema, decode(schema, row.data as Uint8Array)))}`;
}

/** Changes of one profile stand in the order in which the engine returned the segments: here by slug. */
function decode(schema: DescMessage, data: Uint8Array): Message {
  const message = fromBinary(schema, data);
  if (isMessage(message, MembershipsChangedSchema)) {
    message.changes.sort((a, b) =>
      a.segmentSlug < b.segmentSlug ? -1 : Number(a.segmentSlug > b.segmentSlug),
    );
  }
  return message;
}

function renderRowChange(service: string, { table, before, after }: RowChange): string {
  const columns = Object.entries((after ?? before) as Row)
    .filter(([, value]) => value !== null)
    .map(([column, value]) => `${column}=${valueText(column, value)}`);
  const head = `rows ${service}: ${markOf(before, after)} ${table}`;
  if (before === undefined || after === undefined) return `${head}\n${indent(columns.join("\n"))}`;
  const changed = Object.keys(after)
    .filter(
      (column) =>
        SEALED_COLUMNS.has(column) || valueText(column, before[column]) !== valueText(column, after[column]),
    )
    .map(
      (column) => `${column}: ${valueText(column, before[column])} -> ${valueText(column, after[column])}`,
    );
  return `${head} ${keyText(after)}\n${indent(changed.join("\n"))}`;
}

/** The ids and shard of a row: enough to know it by. */
function keyText(row: Row): string {
  return Object.entries(row)
    .filter(([column]) => /(^|_)(id|shard|name|day|key|kind|cell|hour|part)$/.test(column))
    .filter(([, value]) => value !== null)
    .map(([column, value]) => `${column}=${valueText(column, value)}`)
    .join(" ");
}

function markOf(before: Row | undefined, after: Row | undefined): string {
  if (before === undefined) return "+";
  return after === undefined ? "-" : "~";
}

function valueText(column: string, value: unknown): string {
  if (value === null || value === undefined) return "null";
  if (SEALED_COLUMNS.has(column)) return "<sealed>";
  if (value instanceof Uint8Array) return bytesText(Buffer.from(value));
  return column === "state" && typeof value === "string" ? stateText(value) : String(value);
}

/** A profile's state lists its segments in the order in which the engine returned them: here by id. */
function stateText(value: string): string {
  return JSON.stringify(JSON.parse(value), (key, part: unknown) =>
    key === "in" && Array.isArray(part) ? part.toSorted() : part,
  );
}

function bytesText(bytes: Buffer): string {
  // Such as "password_changed", which is as long as an id.
  if (/^[a-z_]+$/.test(bytes.toString("latin1"))) return JSON.stringify(bytes.toString("latin1"));
  if (bytes.length === 16 && isUuid(bytesToUuid(bytes)) && (bytes[6] ?? 0) >> 4 === 7)
    return bytesToUuid(bytes);
  if (bytes.length === 32) return "<32 bytes>";
  const text = bytes.toString("utf8");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bytes that are no text are written in hex.
  if (Buffer.from(text).equals(bytes) && !/[\u0000-\u001f\u007f]/.test(text)) return JSON.stringify(text);
  if (bytes.length <= BYTES_SHOWN_MAX) return `0x${bytes.toString("hex")}`;
  return `<${bytes.length} bytes ${createHash("sha256").update(bytes).digest("hex").slice(0, 12)}>`;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
