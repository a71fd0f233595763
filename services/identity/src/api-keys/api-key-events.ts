// Builds the domain events about API keys.
import {
  ApiKeyCreatedSchema,
  ApiKeyRevokedSchema,
  ApiKeyRotatedSchema,
  ApiKeyUpdatedSchema,
} from "@muster/contracts/muster/identity/v1/identity_events_pb";
import { type ApiKeyId, type OrganizationId, uuidToBytes } from "@muster/core";
import { type DomainEvent, domainEvent } from "@muster/outbox";
import type { ApiKey } from "./api-key.ts";

export function apiKeyCreated(key: ApiKey): DomainEvent {
  return domainEvent(ApiKeyCreatedSchema, keyOf(key), {
    ...idsOf(key),
    name: key.name,
    scopes: [...key.scopes],
    timeMs: BigInt(key.createTimeMs),
  });
}

export function apiKeyUpdated(key: ApiKey, nowMs: number): DomainEvent {
  return domainEvent(ApiKeyUpdatedSchema, keyOf(key), {
    ...idsOf(key),
    name: key.name,
    scopes: [...key.scopes],
    timeMs: BigInt(nowMs),
  });
}

export function apiKeyRotated(old: ApiKey, successor: ApiKey, endMs: number): DomainEvent {
  return domainEvent(ApiKeyRotatedSchema, keyOf(old), {
    ...idsOf(old),
    successorId: uuidToBytes(successor.id),
    endMs: BigInt(endMs),
    timeMs: BigInt(successor.createTimeMs),
  });
}

export function apiKeyRevoked(key: ApiKey, nowMs: number): DomainEvent {
  return domainEvent(ApiKeyRevokedSchema, keyOf(key), { ...idsOf(key), timeMs: BigInt(nowMs) });
}

interface ApiKeyIds {
  readonly organizationId: OrganizationId;
  readonly id: ApiKeyId;
}

function keyOf({ organizationId, id }: ApiKeyIds) {
  return { organizationId, resourceId: id };
}

function idsOf({ organizationId, id }: ApiKeyIds) {
  return { organizationId: uuidToBytes(organizationId), apiKeyId: uuidToBytes(id) };
}
