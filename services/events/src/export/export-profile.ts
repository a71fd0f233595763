// ExportProfile and GetProfileExport return all data about a person, as a stream or in one response.
import { create } from "@bufbuild/protobuf";
import {
  type ExportProfileResponse,
  ExportProfileResponseSchema,
  type ExportService,
} from "@muster/contracts/muster/events/v1/export_service_pb";
import type { KeptMembership } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { BODY_BYTES_MAX, type Clock, type OrganizationId, type ProfileId } from "@muster/core";
import { AppError, invalidField } from "@muster/errors";
import type { CallContext, ServerStreamHandler, UnaryHandler } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { handOff } from "../feed/handoff.ts";
import { getPerson } from "../people/people.ts";
import { requireProfileId } from "../profiles/profile-proto.ts";
import { type ExportedRecord, recordsOf } from "./export-person.ts";
import type { ExportTurns } from "./export-turns.ts";
import type { KnownMemberships } from "./known-memberships.ts";

type Methods = typeof ExportService.method;

/** The dependencies of both RPCs. */
export interface ExportDeps extends Pick<EventsDeps, "clock" | "database"> {
  readonly memberships: KnownMemberships;
  readonly turns: ExportTurns;
}

/** The records of one message of the stream; a larger record is sent alone. */
const PART_BYTES_MAX = 256 * 1024;
/** Leaves room for the message around the records. */
const ANSWER_BYTES_MAX = BODY_BYTES_MAX - 64 * 1024;
/** The size of a record besides the data. */
const RECORD_OVERHEAD_BYTES = 32;
/** An idle reader is ended after this time, because the open snapshot prevents cleanup in the database. */
const READER_IDLE_MS_MAX = 30_000;

export function exportProfile(deps: ExportDeps): ServerStreamHandler<Methods["exportProfile"]> {
  return async function* ({ profileId }, context) {
    const subject = await findSubject(deps, context, profileId);
    yield* handOff<ExportProfileResponse>(context.signal, async (put) => {
      const parts = new Parts((part) => takenInTime(deps.clock, put(part)));
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
      if (bytes > ANSWER_BYTES_MAX) throw tooMuch();
      records.push(record);
    });
    return { records };
  };
}

interface Subject {
  readonly organizationId: OrganizationId;
  readonly profileId: ProfileId;
  readonly memberships: readonly KeptMembership[];
}

/**
 * Reads the memberships before the snapshot opens, so that the snapshot includes every event that segments
 * has applied.
 */
async function findSubject(deps: ExportDeps, context: CallContext, profileId: string): Promise<Subject> {
  const { organizationId } = context;
  const id = requireProfileId(profileId);
  const person = await getPerson(deps.database.reader, organizationId, id);
  if (person === undefined) throw new AppError("PROFILE_NOT_FOUND");
  const merged = person.merged.map((profile) => profile.id);
  const memberships = await deps.memberships.of(context, organizationId, person.root.id, merged);
  return { organizationId, profileId: id, memberships };
}

async function readRecords(
  { database, turns }: ExportDeps,
  { organizationId, profileId, memberships }: Subject,
  take: (record: ExportedRecord) => Promise<void>,
): Promise<void> {
  let isBegun = false;
  await turns.take(() =>
    database.snapshot(async (trx) => {
      // A snapshot read causes no conflicts. A second run would send records twice.
      if (isBegun) throw new AppError("UNAVAILABLE");
      const person = await getPerson(trx, organizationId, profileId);
      if (person === undefined) throw new AppError("PROFILE_NOT_FOUND");
      isBegun = true;
      for await (const record of recordsOf(trx, person, memberships)) await take(record);
    }),
  );
}

function bytesOf({ data }: ExportedRecord): number {
  return Buffer.byteLength(data) + RECORD_OVERHEAD_BYTES;
}

function tooMuch(): AppError {
  const problem = "has an export of more than 4 MiB; stream the export by ExportService.ExportProfile";
  return invalidField("profile_id", problem);
}

async function takenInTime(clock: Clock, taken: Promise<void>): Promise<void> {
  const settled = new AbortController();
  const late = clock.sleep(READER_IDLE_MS_MAX, settled.signal).then(() => {
    if (!settled.signal.aborted) throw new AppError("OVERLOADED");
  });
  try {
    await Promise.race([taken, late]);
  } finally {
    settled.abort();
  }
}

/** Groups records into messages of bounded size. */
class Parts {
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
