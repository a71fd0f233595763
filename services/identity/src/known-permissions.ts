// Lists the permissions that a key can be given: those that some method of the installation requires.
import type { DescService } from "@bufbuild/protobuf";
import { allPermissions } from "@muster/authz";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { SegmentVerificationService } from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";

/** Every service of Muster; a test compares the list with the generated code. */
export const INSTALLATION_SERVICES: readonly DescService[] = [
  AlertService,
  ApiKeyService,
  BehaviorService,
  CredentialService,
  ErasureService,
  EventFeedService,
  EventService,
  EventTypeService,
  ExportService,
  OrganizationDirectoryService,
  OrganizationService,
  ProfileService,
  RetentionService,
  SegmentVerificationService,
  SegmentPrivacyService,
  SegmentService,
  TrackingService,
];

export function knownPermissions(): ReadonlySet<string> {
  return new Set(allPermissions(INSTALLATION_SERVICES));
}
