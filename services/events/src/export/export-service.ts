// Lists the handlers of ExportService.
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { implement, type ServiceImplementation } from "@muster/rpc";
import { ConcurrencyLimit } from "@muster/runtime";
import type { EventsDeps } from "../handlers/deps.ts";
import { exportProfile } from "./export-profile.ts";
import { getProfileExport } from "./get-profile-export.ts";
import { MembershipReader } from "./membership-reader.ts";

/** Exports that run at once in a process. */
const EXPORTS_MAX = 4;

/** Binds every RPC of ExportService to the handler. */
export function exportService({ clock, database, segments }: EventsDeps): ServiceImplementation {
  const memberships = new MembershipReader(segments);
  const concurrency = new ConcurrencyLimit({ max: EXPORTS_MAX, retryAfterMs: 1000 });
  const deps = { clock, database, memberships, concurrency };
  return implement(ExportService, {
    exportProfile: exportProfile(deps),
    getProfileExport: getProfileExport(deps),
  });
}
