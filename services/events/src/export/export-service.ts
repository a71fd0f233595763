// Lists the handlers of ExportService.
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { type Caller, implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { ConcurrencyLimit } from "./concurrency-limit.ts";
import { exportProfile, getProfileExport } from "./export-profile.ts";
import { MembershipReader } from "./membership-reader.ts";

export function exportService({ clock, database }: EventsDeps, segments: Caller): ServiceImplementation {
  const memberships = new MembershipReader(segments);
  const deps = { clock, database, memberships, concurrency: new ConcurrencyLimit() };
  return implement(ExportService, {
    exportProfile: exportProfile(deps),
    getProfileExport: getProfileExport(deps),
  });
}
