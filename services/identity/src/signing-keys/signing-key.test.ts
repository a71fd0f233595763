import type { SigningKeyId } from "@muster/core";
import { describe, expect, test } from "vitest";
import { isPublished, isRotationDue, ROTATION_MS, type SigningKey, signerOf } from "./signing-key.ts";

const NOW_MS = 1_800_000_000_000;
const EMPTY = Buffer.alloc(0);

function key(generation: number, more: Partial<SigningKey> = {}): SigningKey {
  return {
    id: `key-${generation}` as SigningKeyId,
    generation,
    x: EMPTY,
    y: EMPTY,
    sealedPrivateKey: EMPTY,
    createTimeMs: NOW_MS,
    signTimeMs: NOW_MS,
    endTimeMs: undefined,
    ...more,
  };
}

describe("the key that signs", () => {
  test("is the newest whose time has come", () => {
    const scheduled = key(3, { signTimeMs: NOW_MS + 1 });
    expect(signerOf([key(1), scheduled, key(2)], NOW_MS)?.generation).toBe(2);
    expect(signerOf([key(1), scheduled, key(2)], NOW_MS + 1)?.generation).toBe(3);
  });

  test("is never one that has ended", () => {
    expect(signerOf([key(1), key(2, { endTimeMs: NOW_MS })], NOW_MS)?.generation).toBe(1);
    expect(signerOf([key(1, { endTimeMs: NOW_MS })], NOW_MS)).toBeUndefined();
    expect(signerOf([], NOW_MS)).toBeUndefined();
  });

  test("exists also for a process whose clock is behind", () => {
    const ahead = { signTimeMs: NOW_MS + 60_000 };
    expect(signerOf([key(4, ahead)], NOW_MS)?.generation).toBe(4);
  });
});

test("a key is published until its end", () => {
  expect(isPublished(key(1), NOW_MS)).toBe(true);
  expect(isPublished(key(1, { endTimeMs: NOW_MS + 1 }), NOW_MS)).toBe(true);
  expect(isPublished(key(1, { endTimeMs: NOW_MS }), NOW_MS)).toBe(false);
});

test("a successor is due without a key, and once the newest key is 90 days old", () => {
  expect(isRotationDue([], NOW_MS)).toBe(true);
  expect(isRotationDue([key(1, { endTimeMs: NOW_MS + 1 })], NOW_MS)).toBe(true);
  expect(isRotationDue([key(1)], NOW_MS + ROTATION_MS - 1)).toBe(false);
  expect(isRotationDue([key(1)], NOW_MS + ROTATION_MS)).toBe(true);
});
