import { AppError, invalidField } from "@muster/errors";
import { expect, test } from "vitest";
import { expectReason } from "./expect-reason.ts";

test("the error of a refused call is returned", async () => {
  const error = invalidField("name", "must not be empty");
  const fields = [{ field: "name" }];
  expect(await expectReason(Promise.reject(error), "FIELD_INVALID", { fields })).toBe(error);
});

test.each([
  ["a call that succeeds", () => "done"],
  ["another reason", () => thrown(new AppError("UNAVAILABLE"))],
  ["an error that is no AppError", () => thrown(Object.assign(new Error("x"), { reason: "OVERLOADED" }))],
  ["other details", () => thrown(new AppError("OVERLOADED", { details: { limit: "2" } }))],
])("%s fails", async (_, run) => {
  const call = (async () => run())();
  await expect(expectReason(call, "OVERLOADED", { details: { limit: "1" } })).rejects.toThrow();
});

function thrown(error: Error): never {
  throw error;
}
