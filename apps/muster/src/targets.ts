// Lists the module and the RPC services of each service. A coverage test compares the lists with the protos.
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { SERVICE_NAMES, type Target } from "@muster/config";
import { AlertService } from "@muster/contracts/muster/events/v1/alert_service_pb";
import { BehaviorService } from "@muster/contracts/muster/events/v1/behavior_service_pb";
import { ErasureService } from "@muster/contracts/muster/events/v1/erasure_service_pb";
import { EventFeedService } from "@muster/contracts/muster/events/v1/event_feed_service_pb";
import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { EventTypeService } from "@muster/contracts/muster/events/v1/event_type_service_pb";
import { ExportService } from "@muster/contracts/muster/events/v1/export_service_pb";
import { OrganizationErasureService as EventsOrganizationErasureService } from "@muster/contracts/muster/events/v1/organization_erasure_service_pb";
import { ProfileService } from "@muster/contracts/muster/events/v1/profile_service_pb";
import { RetentionService } from "@muster/contracts/muster/events/v1/retention_service_pb";
import { TrackingService } from "@muster/contracts/muster/events/v1/tracking_service_pb";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { DeletionRequestService } from "@muster/contracts/muster/identity/v1/deletion_request_service_pb";
import { InvitationService } from "@muster/contracts/muster/identity/v1/invitation_service_pb";
import { LoginAnalyticsService } from "@muster/contracts/muster/identity/v1/login_analytics_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { ProvisioningService } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { SessionService } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { SigningKeyService } from "@muster/contracts/muster/identity/v1/signing_key_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { UserService } from "@muster/contracts/muster/identity/v1/user_service_pb";
import { OrganizationErasureService as SegmentsOrganizationErasureService } from "@muster/contracts/muster/segments/v1/organization_erasure_service_pb";
import { SegmentPrivacyService } from "@muster/contracts/muster/segments/v1/segment_privacy_service_pb";
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { SegmentService } from "@muster/contracts/muster/segments/v1/segment_service_pb";
import { SegmentVerificationService } from "@muster/contracts/muster/segments/v1/segment_verification_service_pb";
import { assert } from "@muster/core";
import type { ModuleDefinition, ServiceName } from "@muster/runtime";
import { eventsModule } from "@muster/service-events";
import { identityModule } from "@muster/service-identity";
import { segmentsModule } from "@muster/service-segments";

export const modules: Readonly<Record<ServiceName, ModuleDefinition>> = {
  identity: identityModule,
  events: eventsModule,
  segments: segmentsModule,
};

export const contracts: Readonly<Record<ServiceName, readonly DescService[]>> = {
  identity: [
    AccountService,
    ApiKeyService,
    CredentialService,
    DeletionRequestService,
    LoginAnalyticsService,
    MagicLinkService,
    OperationService,
    OrganizationDirectoryService,
    OrganizationService,
    PrivacyService,
    ProvisioningService,
    SessionService,
    SigningKeyService,
    TwoFactorService,
    UserService,
    InvitationService,
  ],
  events: [
    AlertService,
    BehaviorService,
    ErasureService,
    EventFeedService,
    EventService,
    EventTypeService,
    EventsOrganizationErasureService,
    ExportService,
    ProfileService,
    RetentionService,
    TrackingService,
  ],
  segments: [
    SegmentVerificationService,
    SegmentPrivacyService,
    SegmentProvisioningService,
    SegmentService,
    SegmentsOrganizationErasureService,
  ],
};

const serviceByType = new Map(
  SERVICE_NAMES.flatMap((service) => contracts[service].map(({ typeName }) => [typeName, service] as const)),
);

/** The service whose module serves the method. */
export function serviceOf(method: DescMethod): ServiceName {
  const found = serviceByType.get(method.parent.typeName);
  assert(found !== undefined, `no module implements ${method.parent.typeName}`);
  return found;
}

/** The services among the targets, in start order: called services before their callers. */
export function servicesOf(targets: readonly Target[]): ServiceName[] {
  return SERVICE_NAMES.filter((service) => targets.includes(service));
}
