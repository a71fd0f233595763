import { create } from "@bufbuild/protobuf";
import {
  RegisterRequestSchema,
  ResendVerificationRequestSchema,
} from "@muster/contracts/muster/identity/v1/account_service_pb";
import { LoginResponseSchema } from "@muster/contracts/muster/identity/v1/session_service_pb";
import { expect, test } from "vitest";
import { hasSecrets, withoutSecrets } from "./secrets.ts";

test("secrets of a message are removed from a copy", () => {
  const message = create(RegisterRequestSchema, {
    email: "ada@example.com",
    password: "correct horse battery",
    name: "Ada",
    invitationToken: "token",
  });
  expect(withoutSecrets(RegisterRequestSchema, message)).toEqual(
    create(RegisterRequestSchema, { email: "ada@example.com", name: "Ada" }),
  );
  expect(message.password).toBe("correct horse battery");
});

test("secrets of nested messages are removed too", () => {
  const message = create(LoginResponseSchema, {
    tokens: { accessToken: "access", refreshToken: "refresh", tokenType: "Bearer", expiresIn: 300 },
  });
  expect(withoutSecrets(LoginResponseSchema, message)).toEqual(
    create(LoginResponseSchema, { tokens: { tokenType: "Bearer", expiresIn: 300 } }),
  );
});

test("a message without secrets is not copied", () => {
  const message = create(ResendVerificationRequestSchema, { email: "ada@example.com" });
  expect(hasSecrets(ResendVerificationRequestSchema)).toBe(false);
  expect(withoutSecrets(ResendVerificationRequestSchema, message)).toBe(message);
});
