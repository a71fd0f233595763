import { EventService } from "@muster/contracts/muster/events/v1/event_service_pb";
import { ApiKeyService } from "@muster/contracts/muster/identity/v1/api_key_service_pb";
import { CredentialService } from "@muster/contracts/muster/identity/v1/credential_service_pb";
import { expect, test } from "vitest";
import { apiKeyPrefix, hashApiKey, isApiKey, newApiKeySecret } from "./api-key.ts";
import { allPermissions, permissionsOf } from "./permissions.ts";

test("permissions are exact names", () => {
  const permissions = permissionsOf(["events.write", "events"]);
  expect(permissions.has("events.write")).toBe(true);
  for (const other of [
    "events.read",
    "events.writ",
    "events.write.all",
    "EVENTS.WRITE",
    "*",
    "",
    "toString",
  ]) {
    expect(permissions.has(other), other).toBe(false);
  }
});

test('"*" holds every permission', () => {
  expect(permissionsOf(["*"]).has("anything.at-all")).toBe(true);
  expect(permissionsOf(["*"]).has("*")).toBe(true);
});

test("the permissions that exist are read from the methods, internal ones having none", () => {
  expect(allPermissions([EventService, ApiKeyService, CredentialService])).toEqual([
    "api_keys.read",
    "api_keys.write",
    "events.read",
    "events.write",
  ]);
});

test("a key is random, recognizable, and kept as its hash", () => {
  const secret = newApiKeySecret();
  expect(isApiKey(secret)).toBe(true);
  expect(newApiKeySecret()).not.toBe(secret);
  expect(apiKeyPrefix(secret)).toBe(secret.slice(0, 11));
  // SHA-256 of the text, checked against another implementation's value.
  const zeros = newApiKeySecret((size) => Buffer.alloc(size));
  expect(zeros).toBe(`mk_${"A".repeat(43)}`);
  expect(hashApiKey("abc").toString("hex")).toBe(
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  );
});
