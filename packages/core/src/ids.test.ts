import { describe, expect, test } from "vitest";
import { bytesToUuid, randomIds, uuidToBytes } from "./ids.ts";

describe("uuidToBytes", () => {
  test("takes every digit at its place", () => {
    expect(uuidToBytes("01234567-89ab-cdef-fedc-ba9876543210").toString("hex")).toBe(
      "0123456789abcdeffedcba9876543210",
    );
  });

  test("is undone by bytesToUuid", () => {
    for (let n = 0; n < 1000; n += 1) {
      const id = randomIds.next(n);
      expect(bytesToUuid(uuidToBytes(id))).toBe(id);
    }
  });
});
