// ExportProfile and GetProfileExport return all data about a person, as a stream or in one response.
import { create } from "@bufbuild/protobuf";
import {
  type ExportProfileResponse,
  ExportProfileResponseSchema,
  type ExportService,
} from "@muster/contracts/muster/events/v1/export_service_pb";
import type { StoredMembership } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { BODY_BYTES_MAX, type Clock, type OrganizationId, type ProfileId } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import type { CallContext, ServerStreamHandler, UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { callbackStream } from "../feed/callback-stream.ts";
import { getProfileGroup } from "../identity-graph/load-profile-groups.ts";
import { requireProfileId } from "../profiles/profile-proto.ts";
import type { ConcurrencyLimit } from "./concurrency-limit.ts";
import { type ExportedRecord, recordsOf } from "./export-records.ts";
import type { MembershipReader } from "./membership-reader.ts";

type Methods = typeof ExportService.method;

/** The dependencies of both RPCs. */
export interface ExportDeps extends Pick<EventsDeps, "clock" | "database"> {
  readonly memberships: MembershipReader;
  readonly concurrency: ConcurrencyLimit;
}

/** The records of one message of the stream; a larger record is sent alone. */
const PART_BYTES_MAX = 256 * 1024;
/** Leaves room for the message around the records. */
const RESPONSE_BYTES_MAX = BODY_BYTES_MAX - 64 * 1024;
/** The size of a record besides the data. */
const RECORD_OVERHEAD_BYTES = 32;
/** An idle reader is ended after this time, because the open snapshot prevents cleanup in the database. */
const READER_IDLE_MS_MAX = 30_000;

export function exportProfile(deps: ExportDeps): ServerStreamHandler<Methods["exportProfile"]> {
  return async function* ({ profileId }, context) {
    const subject = await findSubject(deps, context, profileId);
    yield* callbackStream<ExportProfileResponse>(context.signal, async (put) => {
      const parts = new ResponseParts((part) => withReaderTimeout(deps.clock, put(part)));
      await readRecords(deps, subject, (record) => parts.add(record));
      await parts.finish();
    });
  };
}

export function getProfileExport(deps: ExportDeps): UnaryHandler<Methods["getProfileExport"]> {
  return async ({ profileId }, context) => {
    const subject = await findSubject(deps, context, profileId);
    const records: ExportedRecord[] = [];
    let bytes = 0;
    await readRecords(deps, subject, async (record) => {
      bytes += bytesOf(record);
      if (bytes > RESPONSE_BYTES_MAX) throw tooLargeError();
      records.push(record);
    });
    return { records };
  };
}

interface Subject {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly memberships: readonly StoredMembership[];
}

/**
 * Reads the memberships before the snapshot opens, so that the snapshot includes every event that segments
 * has applied.
 */
async function findSubject(deps: ExportDeps, context: CallContext, profileId: string): Promise<Subject> {
  const { organizationId } = context;
  const id = requireProfileId(profileId);
  const person = await getProfileGroup(deps.database.reader, organizationId, id);
  if (person === undefined) throw new AppError("PROFILE_NOT_FOUND");
  const merged = person.merged.map((profile) => profile.id);
  const memberships = await deps.memberships.of(context, organizationId, person.root.id, merged);
  return { organizationId, profileId: id, memberships };
}

async function readRecords(
  { database, concurrency }: ExportDeps,
  { organizationId, profileId, memberships }: Subject,
  take: (record: ExportedRecord) => Promise<void>,
): Promise<void> {
  let hasStarted = false;
  await concurrency.take(() =>
    database.snapshot(async (trx) => {
      // A snapshot read causes no conflicts. A second run would send records twice.
      if (hasStarted) throw new AppError("UNAVAILABLE");
      const person = await getProfileGroup(trx, organizationId, profileId);
      if (person === undefined) throw new AppError("PROFILE_NOT_FOUND");
      hasStarted = true;
      for await (const record of recordsOf(trx, person, memberships)) await take(record);
    }),
  );
}

function bytesOf({ data }: ExportedRecord): number {
  return Buffer.byteLength(data) + RECORD_OVERHEAD_BYTES;
}

function tooLargeError(): AppError {
  const problem = "has an export of more than 4 MiB; stream the export by ExportService.ExportProfile";
  return invalidField("profile_id", problem);
}

async function withReaderTimeout(clock: Clock, written: Promise<void>): Promise<void> {
  const finished = new AbortController();
  const timeout = clock.sleep(READER_IDLE_MS_MAX, finished.signal).then(() => {
    if (!finished.signal.aborted) throw new AppError("OVERLOADED");
  });
  try {
    await Promise.race([written, timeout]);
  } finally {
    finished.abort();
  }
}

/** Groups records into messages of bounded size. */
class ResponseParts {
  readonly #put: (part: ExportProfileResponse) => Promise<void>;
  #records: ExportedRecord[] = [];
  #bytes = 0;

  constructor(put: (part: ExportProfileResponse) => Promise<void>) {
    this.#put = put;
  }

  async add(record: ExportedRecord): Promise<void> {
    const bytes = bytesOf(record);
    if (this.#bytes > 0 && this.#bytes + bytes > PART_BYTES_MAX) await this.finish();
    this.#records.push(record);
    this.#bytes += bytes;
  }

  async finish(): Promise<void> {
    const records = this.#records;
    this.#records = [];
    this.#bytes = 0;
    await this.#put(create(ExportProfileResponseSchema, { records }));
  }
}
