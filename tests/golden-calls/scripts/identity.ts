// Calls of identity's services.
import { hashApiKey } from "@muster/authz";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { OrganizationDirectoryService } from "@muster/contracts/muster/identity/v1/organization_directory_service_pb";
import { OrganizationService } from "@muster/contracts/muster/identity/v1/organization_service_pb";
import { SigningKeyService } from "@muster/contracts/muster/identity/v1/signing_key_service_pb";
import { Role } from "@muster/contracts/muster/identity/v1/user_pb";
import { uuidToBytes } from "@muster/core";
import type { Recorder } from "../harness/recorder.ts";
import { type Script, UNKNOWN_ID } from "./script.ts";

async function apiKeys(calls: Recorder): Promise<void> {
  const { createApiKey, listApiKeys, getApiKeyUsage, updateApiKey, deleteApiKey, rotateApiKey } =
    ApiKeyService.method;
  const request = { name: "Import", scopes: ["events.write", "api_keys.write"] };
  const { apiKey, secret } = await calls.ok(createApiKey, request, { idempotencyKey: "first" });
  calls.addKey("import", secret);
  await calls.ok(createApiKey, request, { idempotencyKey: "first" });
  await calls.refused(createApiKey, { ...request, name: "Other" }, { idempotencyKey: "first" });
  await calls.refused(createApiKey, { name: "", scopes: [] });
  await calls.refused(createApiKey, { name: "Unknown scope", scopes: ["events.fly"] });
  await calls.refused(createApiKey, { name: "More than its maker", scopes: ["*"] }, { key: "import" });
  await calls.refused(createApiKey, request, { key: "reader" });
  await calls.refused(createApiKey, request, { anonymous: true });
  const { nextPageToken } = await calls.ok(listApiKeys, { pageSize: 2 });
  await calls.ok(listApiKeys, { pageSize: 2, pageToken: nextPageToken });
  await calls.refused(listApiKeys, { pageToken: "bm9uc2Vuc2U" });
  await calls.refused(listApiKeys, { pageSize: 501 });
  const apiKeyId = apiKey?.id ?? "";
  await calls.ok(getApiKeyUsage, { apiKeyId, window: "7d" });
  await calls.refused(getApiKeyUsage, { apiKeyId });
  await calls.refused(getApiKeyUsage, { apiKeyId: UNKNOWN_ID, window: "7d" });
  await calls.ok(updateApiKey, { apiKeyId, apiKey: { name: "Nightly import" } });
  await calls.refused(updateApiKey, { apiKeyId, apiKey: { scopes: ["events.fly"] } });
  await calls.refused(updateApiKey, { apiKeyId: UNKNOWN_ID, apiKey: { name: "Nobody's" } });
  await calls.ok(updateApiKey, { apiKeyId, apiKey: { grantUpTo: Role.MEMBER } }, { key: "ada" });
  const rotated = await calls.ok(rotateApiKey, { apiKeyId, overlapSeconds: 60 });
  await calls.refused(rotateApiKey, { apiKeyId, overlapSeconds: 60 });
  await calls.refused(rotateApiKey, { apiKeyId: UNKNOWN_ID });
  await calls.ok(deleteApiKey, { apiKeyId: rotated.apiKey?.id ?? "" });
  await calls.refused(deleteApiKey, { apiKeyId: rotated.apiKey?.id ?? "" });
  await calls.refused(deleteApiKey, { apiKeyId: "no id" });
}

async function organizations(calls: Recorder): Promise<void> {
  const { createOrganization, getOrganization, listOrganizations, updateOrganization } =
    OrganizationService.method;
  const { deleteOrganization, undeleteOrganization } = OrganizationService.method;
  const ada = { key: "ada" };
  await calls.ok(createOrganization, { name: "Umbrella", timeZone: "Asia/Tokyo" }, ada);
  await calls.ok(createOrganization, { name: "Initech" }, { ...ada, idempotencyKey: "one" });
  await calls.ok(createOrganization, { name: "Initech" }, { ...ada, idempotencyKey: "one" });
  await calls.refused(createOrganization, { name: "Nowhere", timeZone: "Mars/Base" }, ada);
  await calls.refused(createOrganization, { name: "" }, ada);
  await calls.refused(createOrganization, { name: "Denied" });
  await calls.ok(listOrganizations, { pageSize: 2 }, ada);
  await calls.ok(listOrganizations, {});
  await calls.refused(listOrganizations, { pageToken: "nonsense" });
  const { organizationId } = calls;
  const change = { organizationId, organization: { name: "Umbrella Corporation" } };
  await calls.ok(updateOrganization, { ...change, updateMask: { paths: ["name"] } }, ada);
  await calls.ok(updateOrganization, { ...change, organization: { timeZone: "UTC" } });
  await calls.ok(updateOrganization, { ...change, organization: { requireTwoFactor: true, version: 2n } });
  await calls.ok(updateOrganization, { ...change, organization: { requireTwoFactor: false } });
  await calls.ok(getOrganization, { organizationId });
  await calls.refused(getOrganization, { organizationId: UNKNOWN_ID });
  await calls.refused(updateOrganization, { ...change, ifMatch: '"1"' });
  await calls.refused(updateOrganization, { ...change, organization: { name: "Stale", version: 1n } });
  await calls.refused(updateOrganization, { ...change, updateMask: { paths: ["id"] } });
  await calls.refused(updateOrganization, change, { key: "reader" });
  await calls.refused(updateOrganization, { organizationId: UNKNOWN_ID, organization: { name: "None" } });
  await calls.refused(deleteOrganization, { organizationId });
  await calls.refused(deleteOrganization, { organizationId: UNKNOWN_ID }, ada);
  await calls.ok(deleteOrganization, { organizationId }, ada);
  await calls.ok(deleteOrganization, { organizationId }, ada);
  await calls.ok(undeleteOrganization, { organizationId }, ada);
  await calls.ok(undeleteOrganization, { organizationId }, ada);
  await calls.refused(undeleteOrganization, { organizationId });
}

async function credentials(calls: Recorder): Promise<void> {
  const { verifyApiKey, verifySession, listSigningKeys, verifyPartner } = CredentialService.method;
  const { reportApiKeyUsage } = CredentialService.method;
  const { secret, apiKey } = await calls.ok(ApiKeyService.method.createApiKey, {
    name: "Import",
    scopes: ["events.write"],
  });
  await calls.ok(verifyApiKey, { keyHash: hashApiKey(secret) }, { service: "events" });
  await calls.refused(verifyApiKey, { keyHash: Buffer.alloc(32, 1) }, { service: "gateway" });
  await calls.refused(verifyApiKey, { keyHash: Buffer.alloc(3) }, { service: "segments" });
  await calls.refused(verifyApiKey, { keyHash: hashApiKey(secret) }, { service: "operator" });
  await calls.refused(verifyApiKey, { keyHash: hashApiKey(secret) });
  const apiKeyCalls = { apiKeyId: uuidToBytes(apiKey?.id ?? ""), day: 20_454, calls: 3n };
  const report = { reporterId: uuidToBytes(UNKNOWN_ID), sequence: 1n, calls: [apiKeyCalls] };
  await calls.ok(reportApiKeyUsage, report, { service: "events" });
  await calls.refused(reportApiKeyUsage, { ...report, sequence: 0n }, { service: "segments" });
  await calls.refused(reportApiKeyUsage, report, { service: "gateway" });
  const signed = {
    keyHash: Buffer.alloc(32, 1),
    signature: `t=1,v1=${"0".repeat(64)}`,
    body: Buffer.from("{}"),
  };
  await calls.refused(verifyPartner, signed, { service: "gateway" });
  await calls.refused(verifyPartner, { ...signed, keyHash: Buffer.alloc(3) }, { service: "gateway" });
  await calls.refused(verifyPartner, signed, { service: "events" });
  const { keys } = await calls.ok(listSigningKeys, {}, { service: "segments" });
  await calls.refused(listSigningKeys, {});
  const session = { sessionId: uuidToBytes(UNKNOWN_ID), signingKeyId: keys[0]?.id ?? new Uint8Array() };
  await calls.refused(verifySession, session, { service: "events" });
  const withdrawn = { ...session, signingKeyId: uuidToBytes(UNKNOWN_ID) };
  await calls.refused(verifySession, withdrawn, { service: "gateway" });
  await calls.refused(verifySession, { ...session, sessionId: Buffer.alloc(3) }, { service: "gateway" });
  await calls.refused(verifySession, session, { service: "operator" });
}

async function signingKeys(calls: Recorder): Promise<void> {
  await calls.ok(SigningKeyService.method.getJwks, {}, { anonymous: true });
}

async function organizationDirectory(calls: Recorder): Promise<void> {
  const { getOrganization } = OrganizationDirectoryService.method;
  const organizationId = uuidToBytes(calls.organizationId);
  await calls.ok(getOrganization, { organizationId }, { service: "segments" });
  await calls.refused(getOrganization, { organizationId: uuidToBytes(UNKNOWN_ID) }, { service: "segments" });
  await calls.refused(getOrganization, { organizationId }, { service: "events" });
  await calls.refused(getOrganization, { organizationId });
}

export const identityScripts: readonly Script[] = [
  { service: ApiKeyService, run: apiKeys },
  { service: OrganizationService, run: organizations },
  { service: CredentialService, run: credentials },
  { service: OrganizationDirectoryService, run: organizationDirectory },
  { service: SigningKeyService, run: signingKeys },
];
