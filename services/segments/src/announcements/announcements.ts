// Encodes the domain events of this service, splits large events to the size of a message, and decodes
// events.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Envelope } from "@muster/contracts/muster/bus/v1/envelope_pb";
import {
  type MembershipChange,
  MembershipChangeSchema,
  MembershipOrigin,
  MembershipsChangedSchema,
  SegmentDeletedSchema,
  SegmentReplacedSchema,
} from "@muster/contracts/muster/segments/v1/segments_events_pb";
import {
  bytesToUuid,
  MESSAGE_BYTES_MAX,
  type OrganizationId,
  type ProfileId,
  type SegmentId,
  shardOf,
  uuidToBytes,
} from "@muster/core";
import { domainEventType, type OutboxDraft } from "@muster/outbox";
import type { Subjects } from "@muster/privacy";
import type { Membership } from "../memberships/membership-store.ts";
import type { AnnouncedSegment } from "../segment-model/announced-segment-store.ts";
import type { Cause, MembershipChangeOrigin } from "./cause.ts";

const ENTERED = domainEventType(MembershipsChangedSchema, "entered");
const EXITED = domainEventType(MembershipsChangedSchema, "exited");
const SEGMENT_REPLACED = domainEventType(SegmentReplacedSchema);
const SEGMENT_DELETED = domainEventType(SegmentDeletedSchema);

/** Reserves space for the envelope and for inexact estimates. */
const DATA_BYTES_MAX = MESSAGE_BYTES_MAX - 16 * 1024;
/** Ids, times, tags and lengths of one change. */
const CHANGE_OVERHEAD_BYTES = 128;

/** A membership that was just written, and its cause. */
export interface CausedChange extends Membership {
  readonly cause: Cause;
}

export interface AnnouncedChange extends CausedChange {
  readonly segment: AnnouncedSegment;
}

/** The content of a message about one segment. */
export type Announcement =
  | { readonly kind: "changed"; readonly member: boolean; readonly change: MembershipChange }
  | { readonly kind: "erased" }
  | {
      readonly kind: "replaced" | "deleted";
      readonly organizationId: Uint8Array;
      readonly segmentId: Uint8Array;
    };

/**
 * Returns one message for the entries and one for the exits of each shard; more if a message would be too
 * large.
 */
export function membershipsChanged(changes: readonly AnnouncedChange[]): OutboxDraft[] {
  const shares = new Map<string, AnnouncedChange[]>();
  for (const change of changes) {
    const key = `${change.shard}/${change.member}`;
    const share = shares.get(key);
    if (share === undefined) shares.set(key, [change]);
    else share.push(change);
  }
  return [...shares.values()].flatMap(draftsOfShare);
}

/** Uses the segment's own shard, which watches read first. */
export function segmentReplaced(
  organizationId: OrganizationId,
  segmentId: SegmentId,
  ruleVersion: number,
): OutboxDraft {
  const ids = { organizationId: uuidToBytes(organizationId), segmentId: uuidToBytes(segmentId) };
  const message = create(SegmentReplacedSchema, { ...ids, ruleVersion });
  const data = toBinary(SegmentReplacedSchema, message);
  return draftOf(shardOf(organizationId, segmentId), SEGMENT_REPLACED, data);
}

export function segmentDeleted(organizationId: OrganizationId, segmentId: SegmentId): OutboxDraft {
  const ids = { organizationId: uuidToBytes(organizationId), segmentId: uuidToBytes(segmentId) };
  const data = toBinary(SegmentDeletedSchema, create(SegmentDeletedSchema, ids));
  return draftOf(shardOf(organizationId, segmentId), SEGMENT_DELETED, data);
}

export function announcementsOf({ type, data }: Envelope): Announcement[] {
  switch (type) {
    case ENTERED:
    case EXITED: {
      const { changes } = fromBinary(MembershipsChangedSchema, data);
      return changes.map((change) =>
        change.profileId.length === 0
          ? { kind: "erased" }
          : { kind: "changed", member: type === ENTERED, change },
      );
    }
    case SEGMENT_REPLACED:
      return [{ kind: "replaced", ...fromBinary(SegmentReplacedSchema, data) }];
    case SEGMENT_DELETED:
      return [{ kind: "deleted", ...fromBinary(SegmentDeletedSchema, data) }];
    default:
      return [];
  }
}

/**
 * Returns the data of a message without the given profiles; undefined if the message does not mention any.
 * The change of a removed profile is left empty, because watches count the changes of a message.
 */
export function eraseFromMessage(type: string, data: Uint8Array, subjects: Subjects): Uint8Array | undefined {
  if (type !== ENTERED && type !== EXITED) return undefined;
  const message = fromBinary(MembershipsChangedSchema, data);
  let isChanged = false;
  message.changes = message.changes.map((change) => {
    if (!isAbout(change, subjects)) return change;
    isChanged = true;
    return create(MembershipChangeSchema);
  });
  return isChanged ? toBinary(MembershipsChangedSchema, message) : undefined;
}

function isAbout({ organizationId, profileId }: MembershipChange, subjects: Subjects): boolean {
  if (profileId.length === 0 || !subjects.profileIds.has(bytesToUuid<ProfileId>(profileId))) return false;
  return bytesToUuid(organizationId) === subjects.organizationId;
}

function draftsOfShare(share: readonly AnnouncedChange[]): OutboxDraft[] {
  const drafts: OutboxDraft[] = [];
  let changes: MembershipChange[] = [];
  let bytes = 0;
  const close = (): void => {
    const [first] = share;
    if (first === undefined || changes.length === 0) return;
    const message = create(MembershipsChangedSchema);
    message.changes = changes;
    const type = first.member ? ENTERED : EXITED;
    drafts.push(draftOf(first.shard, type, toBinary(MembershipsChangedSchema, message)));
    changes = [];
    bytes = 0;
  };
  for (const change of share) {
    const added = CHANGE_OVERHEAD_BYTES + change.segment.slug.byteLength;
    if (bytes + added > DATA_BYTES_MAX) close();
    bytes += added;
    changes.push(toProto(change));
  }
  close();
  return drafts;
}

function toProto({ segment, cause, ...change }: AnnouncedChange): MembershipChange {
  const announced = create(MembershipChangeSchema);
  announced.organizationId = uuidToBytes(change.organizationId);
  announced.segmentId = uuidToBytes(segment.id);
  announced.segmentSlug = segment.slug.toString("utf8");
  announced.profileId = uuidToBytes(change.profileId);
  announced.ruleVersion = segment.version;
  announced.changedMs = BigInt(cause.instantMs);
  announced.evaluatedMs = BigInt(change.changedMs);
  announced.enteredMs = BigInt(change.enteredMs);
  announced.origin = originToProto[cause.origin];
  if (cause.eventId !== undefined) announced.causeEventId = Buffer.from(cause.eventId, "base64url");
  return announced;
}

const originToProto: Readonly<Record<MembershipChangeOrigin, MembershipOrigin>> = {
  live: MembershipOrigin.LIVE,
  timer: MembershipOrigin.TIMER,
  backfill: MembershipOrigin.BACKFILL,
  edit: MembershipOrigin.EDIT,
  late: MembershipOrigin.LATE,
  rebuild: MembershipOrigin.REBUILD,
  merge: MembershipOrigin.MERGE,
  erase: MembershipOrigin.ERASE,
};

function draftOf(shard: number, type: string, data: Uint8Array): OutboxDraft {
  return { shard, type, data, items: 0, traceParent: "" };
}
