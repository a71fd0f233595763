// Calls that erase tracked persons and export what is kept of them.
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

/** A tracked person with events, a page view, a merge, an alert and a membership. */
async function prepare(calls: Recorder): Promise<string> {
  const { identify, track, page } = TrackingService.method;
  await calls.ok(SegmentService.method.createSegment, {
    name: "Buyers",
    eventName: "order.completed",
    minCount: 1,
  });
  await calls.ok(track, { call: { anonymousId: "a-1", event: "product.viewed" } });
  await calls.ok(identify, {
    call: { userId: "7", anonymousId: "a-1", traits: '{"email":"ada@example.test"}' },
  });
  await calls.ok(track, { call: { userId: "7", event: "order.completed", properties: '{"total":12}' } });
  await calls.ok(page, { userId: "7", name: "/home" });
  const action = { type: "withdraw", amount: "150", userId: 7n, time: 10n };
  await calls.ok(AlertService.method.recordAction, action, { idempotencyKey: "kept" });
  const { profiles } = await calls.ok(ProfileService.method.listProfiles, { userId: "7" });
  return profiles[0]?.id ?? "";
}

async function erasures(calls: Recorder): Promise<void> {
  const { eraseProfile, eraseTrackedUser, getErasure, listErasures } = ErasureService.method;
  const profileId = await prepare(calls);
  await calls.refused(eraseProfile, { profileId }, { key: "reader" });
  await calls.refused(eraseProfile, { profileId: UNKNOWN_ID });
  await calls.ok(eraseProfile, { profileId });
  await calls.pass("5 seconds", 5000);
  const { erasures } = await calls.ok(listErasures, { pageSize: 1 });
  const erasureId = erasures[0]?.id ?? "";
  await calls.ok(getErasure, { erasureId });
  await calls.refused(getErasure, { erasureId: UNKNOWN_ID });
  await calls.refused(getErasure, { erasureId }, { key: "reader" });
  await calls.refused(eraseProfile, { profileId });
  await calls.ok(TrackingService.method.track, { call: { userId: "8", event: "login" } });
  await calls.ok(eraseTrackedUser, { userId: "8" });
  await calls.pass("5 seconds", 5000);
  await calls.refused(eraseTrackedUser, { userId: "8" }, { key: "reader" });
  await calls.ok(eraseTrackedUser, { userId: "8" });
  await calls.ok(listErasures, {});
  await calls.refused(listErasures, { pageToken: "nonsense" });
}

async function exports(calls: Recorder): Promise<void> {
  const { exportProfile, getProfileExport } = ExportService.method;
  const profileId = await prepare(calls);
  await calls.stream(exportProfile, [{ profileId }], { take: 20 });
  await calls.stream(exportProfile, [{ profileId: UNKNOWN_ID }], { take: 20 });
  await calls.stream(exportProfile, [{ profileId }], { key: "reader", take: 20 });
  await calls.stream(getProfileExport, [{ profileId }], { take: 20 });
  await calls.stream(getProfileExport, [{ profileId: UNKNOWN_ID }], { take: 20 });
  await calls.stream(getProfileExport, [{ profileId }], { key: "reader", take: 20 });
}

export const privacyScripts: readonly Script[] = [
  { service: ErasureService, run: erasures },
  { service: ExportService, run: exports },
];
