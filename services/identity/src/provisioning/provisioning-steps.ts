// Lists the steps of a provisioning in other services. A step may run twice, and late.
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { type Clock, type OrganizationId, uuidToBytes } from "@muster/core";
import { type Caller, createClient } from "@muster/rpc";
import type { ErasingService } from "../closing/closing-store.ts";

export interface StepDeps {
  readonly clock: Clock;
  readonly caller: (service: ErasingService) => Caller;
}

export interface ProvisioningStep {
  /** Erases what the step has stored when the provisioning is undone. */
  readonly service: ErasingService;
  run(deps: StepDeps, organizationId: OrganizationId): Promise<void>;
}

const CALL_MS = 8_000;

const segmentsStep: ProvisioningStep = {
  service: "segments",
  async run({ clock, caller }, organizationId) {
    const client = createClient(SegmentProvisioningService, caller("segments"));
    const request = { organizationId: uuidToBytes(organizationId) };
    await client.provisionSegments(request, { deadlineMs: clock.nowMs() + CALL_MS });
  },
};

export const provisioningSteps: readonly ProvisioningStep[] = [segmentsStep];
