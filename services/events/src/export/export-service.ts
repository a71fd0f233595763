// Lists the handlers of ExportService.
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { type Caller, implement, type ServiceImplementation } from "@muster/rpc";
import type { EventsDeps } from "../deps.ts";
import { exportProfile, getProfileExport } from "./export-profile.ts";
import { ExportTurns } from "./export-turns.ts";
import { KnownMemberships } from "./known-memberships.ts";

export function exportService({ clock, database }: EventsDeps, segments: Caller): ServiceImplementation {
  const memberships = new KnownMemberships(segments);
  const deps = { clock, database, memberships, turns: new ExportTurns() };
  return implement(ExportService, {
    exportProfile: exportProfile(deps),
    getProfileExport: getProfileExport(deps),
  });
}
