// Calls that identity makes of the other services when an organization is closed.
import { OrganizationErasureService as EventsErasure } from "@muster/contracts/muster/events/v1/organization_erasure_service_pb";
import { OrganizationErasureService as SegmentsErasure } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { uuidToBytes } from "@muster/core";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const organizationId = uuidToBytes(UNKNOWN_ID);
const IDENTITY = { service: "identity" };

/** The accepted call belongs to the tests of closing, because the erasure continues after the response. */
async function eventsErasure(calls: Recorder): Promise<void> {
  const { eraseOrganization } = EventsErasure.method;
  await calls.refused(eraseOrganization, { organizationId });
  await calls.refused(eraseOrganization, { organizationId }, { service: "segments" });
  await calls.refused(eraseOrganization, { organizationId: Buffer.alloc(3) }, IDENTITY);
}

async function segmentsErasure(calls: Recorder): Promise<void> {
  const { eraseOrganization } = SegmentsErasure.method;
  await calls.refused(eraseOrganization, { organizationId });
  await calls.refused(eraseOrganization, { organizationId }, { service: "events" });
  await calls.refused(eraseOrganization, { organizationId: Buffer.alloc(3) }, IDENTITY);
}

export const organizationErasureScripts: readonly Script[] = [
  { service: EventsErasure, run: eventsErasure },
  { service: SegmentsErasure, run: segmentsErasure },
];
