// Defines the sections of an export: one for each table with data about persons.
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AlertSchema } from "@muster/contracts/muster/events/v1/alert_pb";
import {
  ExportedAmountsSchema,
  ExportedEventCountSchema,
  ExportedMergeSchema,
  ExportedPageViewsSchema,
} from "@muster/contracts/muster/events/v1/exported_records_pb";
import { TrackedEventSchema } from "@muster/contracts/muster/events/v1/tracked_event_pb";
import { bytesToUuid, type OrganizationId, type ProfileId } from "@muster/core";
import type { Queryable } from "@muster/db";
import { personalJson } from "@muster/privacy";
import { eventToProto } from "../event-storage/event-proto.ts";
import { EVENT_COLUMNS, type EventRow, eventFromRow } from "../event-storage/event-store.ts";
import { amountsOf } from "./exported-amounts.ts";
import { viewRecordsOf } from "./exported-page-views.ts";
import { type ExportedTable, walkRows } from "./exported-rows-store.ts";

/** The records of one table. */
export interface Section {
  readonly kind: string;
  readonly table: string;
  /** Yields JSON objects. */
  records(db: Queryable, organizationId: OrganizationId, profileId: ProfileId): AsyncIterable<string>;
}

/** Converts each row to messages, whose labels decide which fields the export shows. */
function section<Row extends object, Schema extends DescMessage>(
  kind: string,
  schema: Schema,
  table: ExportedTable<Row>,
  toMessages: (row: Row, profileId: ProfileId) => MessageInitShape<Schema>[],
): Section {
  return {
    kind,
    table: table.name,
    async *records(db, organizationId, profileId) {
      for await (const row of walkRows(db, table, organizationId, profileId)) {
        for (const message of toMessages(row, profileId)) {
          yield personalJson(schema, create(schema, message));
        }
      }
    },
  };
}

interface MergeRow {
  readonly merge_id: Buffer;
  readonly into_profile_id: Buffer;
  readonly merged_ms: number;
  readonly undone_ms: number | null;
}

const merges = section(
  "merge",
  ExportedMergeSchema,
  {
    name: "profile_merges",
    columns: ["merge_id", "into_profile_id", "merged_ms", "undone_ms"],
    order: ["merge_id"],
  } satisfies ExportedTable<MergeRow>,
  (row: MergeRow, profileId) => [
    {
      profileId,
      intoProfileId: bytesToUuid(row.into_profile_id),
      mergeTime: timestampFromMs(Number(row.merged_ms)),
      ...(row.undone_ms !== null && { undoTime: timestampFromMs(Number(row.undone_ms)) }),
    },
  ],
);

const events = section(
  "event",
  TrackedEventSchema,
  {
    name: "tracked_events",
    columns: EVENT_COLUMNS,
    order: ["occurred_ms", "event_id"],
  } satisfies ExportedTable<EventRow>,
  // The recorded profile, not the current root.
  (row: EventRow, profileId) => [eventToProto(eventFromRow(row, profileId))],
);

interface CountRow {
  readonly name: Buffer;
  readonly count: number;
}

const eventCounts = section(
  "event_count",
  ExportedEventCountSchema,
  {
    name: "event_counts",
    columns: ["name", "count"],
    order: ["name"],
  } satisfies ExportedTable<CountRow>,
  (row: CountRow, profileId) => [{ profileId, eventName: row.name.toString(), count: BigInt(row.count) }],
);

interface ViewsRow {
  readonly day: number;
  readonly hour: number;
  readonly part: number;
  readonly views: Buffer;
}

const pageViews = section(
  "page_views",
  ExportedPageViewsSchema,
  {
    name: "page_view_hours",
    columns: ["day", "hour", "part", "views"],
    order: ["day", "hour", "part"],
  } satisfies ExportedTable<ViewsRow>,
  ({ day, hour, views }: ViewsRow, profileId) =>
    viewRecordsOf({ day: Number(day), hour: Number(hour) }, views).map((record) => ({
      profileId,
      views: record.map(({ occurredMs, page }) => ({ time: timestampFromMs(occurredMs), page })),
    })),
);

interface HistoryRow {
  readonly cell: Buffer;
  readonly content: Buffer;
}

const amounts = section(
  "amounts",
  ExportedAmountsSchema,
  {
    name: "alert_history",
    columns: ["cell", "content"],
    order: ["cell"],
  } satisfies ExportedTable<HistoryRow>,
  ({ cell, content }: HistoryRow, profileId) => {
    const exportedAmounts = amountsOf(cell.toString("hex"), content);
    return exportedAmounts.length === 0 ? [] : [{ profileId, amounts: exportedAmounts }];
  },
);

interface AlertRow {
  readonly alert_id: Buffer;
  readonly rule_id: Buffer;
  readonly code: number;
  readonly event_id: Buffer;
  readonly event_name: Buffer;
  readonly occurred_ms: number;
  readonly fired_ms: number;
}

const alerts = section(
  "alert",
  AlertSchema,
  {
    name: "alerts",
    columns: ["alert_id", "rule_id", "code", "event_id", "event_name", "occurred_ms", "fired_ms"],
    order: ["alert_id"],
  } satisfies ExportedTable<AlertRow>,
  (row: AlertRow, profileId) => [
    {
      id: bytesToUuid(row.alert_id),
      ruleId: bytesToUuid(row.rule_id),
      code: row.code,
      profileId,
      eventId: bytesToUuid(row.event_id),
      eventName: row.event_name.toString(),
      timestamp: timestampFromMs(Number(row.occurred_ms)),
      fireTime: timestampFromMs(Number(row.fired_ms)),
    },
  ],
);

/** The sections in export order. A test compares the list with the tables that contain profile ids. */
export const sections: readonly Section[] = [merges, events, eventCounts, pageViews, amounts, alerts];
