// Calls of partners, who sign the bytes of the body.
import { partnerDigest } from "@muster/authz";
import { ProvisioningService } from "@muster/contracts/muster/identity/v1/provisioning_service_pb";
import { SegmentProvisioningService } from "@muster/contracts/muster/segments/v1/segment_provisioning_service_pb";
import { uuidToBytes } from "@muster/core";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

const GATEWAY = { service: "gateway" };

async function provisioning(calls: Recorder): Promise<void> {
  const { provisionOrganization } = ProvisioningService.method;
  const { key, secret } = await calls.createPartner("Alliance");
  const signed = (content: Readonly<Record<string, string>>) => {
    const rawBody = Buffer.from(JSON.stringify(content));
    const time = String(Math.floor(calls.nowMs / 1000));
    const digest = partnerDigest(secret, time, rawBody).toString("hex");
    const headers = { "x-api-key": key, "x-signature": `t=${time},v1=${digest}` };
    return [
      { ...content, rawBody },
      { ...GATEWAY, headers },
    ] as const;
  };
  const content = {
    externalId: "customer-1",
    organizationName: "Corner Shop",
    ownerEmail: "grace@example.com",
    ownerName: "Grace",
  };
  await calls.ok(provisionOrganization, ...signed(content));
  await calls.ok(provisionOrganization, ...signed(content));
  await calls.refused(provisionOrganization, ...signed({ ...content, ownerName: "Eve" }));
  await calls.ok(
    provisionOrganization,
    ...signed({ ...content, externalId: "customer-2", ownerEmail: calls.ownerEmail }),
  );
  await calls.refused(provisionOrganization, ...signed({ ...content, ownerEmail: "nobody" }));
  await calls.refused(provisionOrganization, content, GATEWAY);
  await calls.refused(provisionOrganization, content);
}

async function segments(calls: Recorder): Promise<void> {
  const { provisionSegments } = SegmentProvisioningService.method;
  const organizationId = uuidToBytes(UNKNOWN_ID);
  const as = { service: "identity" };
  await calls.ok(provisionSegments, { organizationId }, as);
  await calls.ok(provisionSegments, { organizationId }, as);
  await calls.refused(provisionSegments, { organizationId: Buffer.alloc(3) }, as);
  await calls.refused(provisionSegments, { organizationId }, { service: "events" });
  await calls.refused(provisionSegments, { organizationId });
}

export const provisioningScripts: readonly Script[] = [
  { service: ProvisioningService, run: provisioning },
  { service: SegmentProvisioningService, run: segments },
];
