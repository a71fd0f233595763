// Reads the records of a person from one snapshot, for both RPCs of an export.
import type { StoredMembership } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { type OrganizationId, type ProfileId, WorkBudget } from "@muster/core";
import { AppError } from "@muster/errors";
import type { CallContext } from "@muster/rpc";
import type { ConcurrencyLimit } from "@muster/runtime";
import type { EventsDeps } from "../handlers/deps.ts";
import { getProfileGroup } from "../identity-graph/load-profile-groups.ts";
import { requireProfileId } from "../profile-storage/require-profile-id.ts";
import { type ExportedRecord, recordsOf } from "./export-records.ts";
import type { MembershipReader } from "./membership-reader.ts";

/** The dependencies of both RPCs. */
export interface ExportDeps extends Pick<EventsDeps, "clock" | "database"> {
  readonly memberships: MembershipReader;
  /** Limits the exports that run at once in a process, because each export holds a database snapshot. */
  readonly concurrency: ConcurrencyLimit;
}

/** The person of an export, with the memberships. */
export interface ExportSubject {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly memberships: readonly StoredMembership[];
  /** Ends the export when the caller goes away or the deadline passes. */
  readonly signal: AbortSignal;
}

/** The size of a record besides the data. */
const RECORD_OVERHEAD_BYTES = 32;
/** Estimated processor time to read and encode one record, in units of a budget. */
const RECORD_UNITS = 30;

/**
 * Reads the memberships before the snapshot opens, so that the snapshot includes every event that segments
 * has applied.
 */
export async function findSubject(
  deps: ExportDeps,
  context: CallContext,
  profileId: string,
): Promise<ExportSubject> {
  const { organizationId } = context;
  const id = requireProfileId(profileId);
  const group = await getProfileGroup(deps.database.reader, organizationId, id);
  if (group === undefined) throw new AppError("PROFILE_NOT_FOUND");
  const merged = group.merged.map((profile) => profile.id);
  const memberships = await deps.memberships.of(context, organizationId, group.root.id, merged);
  return { organizationId, profileId: id, memberships, signal: context.signal };
}

/** Passes every record to `take`, one at a time. Throws OVERLOADED when too many exports run. */
export async function readRecords(
  { clock, database, concurrency }: ExportDeps,
  { organizationId, profileId, memberships, signal }: ExportSubject,
  take: (record: ExportedRecord) => Promise<void>,
): Promise<void> {
  const budget = WorkBudget.inSlices({ clock, signal });
  let hasStarted = false;
  await concurrency.run(() =>
    database.snapshot(async (trx) => {
      // A snapshot read causes no conflicts. A second run would send records twice.
      if (hasStarted) throw new AppError("UNAVAILABLE");
      const group = await getProfileGroup(trx, organizationId, profileId);
      if (group === undefined) throw new AppError("PROFILE_NOT_FOUND");
      hasStarted = true;
      for await (const record of recordsOf(trx, group, memberships)) {
        budget.spend(RECORD_UNITS);
        if (budget.isSliceOver) await budget.turn();
        await take(record);
      }
    }),
  );
}

/** The encoded size of a record, estimated. */
export function bytesOf({ data }: ExportedRecord): number {
  return Buffer.byteLength(data) + RECORD_OVERHEAD_BYTES;
}
