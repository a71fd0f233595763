import { createCipheriv } from "node:crypto";
import { expect, test } from "vitest";
import { openSealed, rowKey, sealBytes } from "./seal.ts";

const key = new Uint8Array(32).fill(1);
const parts = [Buffer.from("first "), Buffer.from("second")];

test("opens to the parts in order, and the sealed bytes contain neither", () => {
  const sealed = sealBytes(key, parts, "row 1");
  expect(openSealed(key, sealed, "row 1").toString()).toBe("first second");
  for (const part of parts) expect(sealed.includes(part)).toBe(false);
  expect(sealBytes(key, parts, "row 1").equals(sealed)).toBe(false);
});

test("opens only with its own key and for its own row", () => {
  const sealed = sealBytes(key, parts, "row 1");
  expect(() => openSealed(key, sealed, "row 2")).toThrow();
  expect(() => openSealed(new Uint8Array(32).fill(2), sealed, "row 1")).toThrow();
  expect(() => sealBytes(new Uint8Array(31), parts, "row 1")).toThrow("32 bytes");
});

test("every changed byte and every cut are detected", () => {
  const sealed = sealBytes(key, parts, "row 1");
  for (let index = 0; index < sealed.length; index += 1) {
    const changed = Buffer.from(sealed);
    changed[index] = (changed[index] ?? 0) ^ 1;
    expect(() => openSealed(key, changed, "row 1"), String(index)).toThrow();
    expect(() => openSealed(key, sealed.subarray(0, index), "row 1"), String(index)).toThrow();
  }
});

test("a row has a key of its own", () => {
  expect(rowKey(key, "a").length).toBe(32);
  expect(rowKey(key, "a").equals(rowKey(key, "b"))).toBe(false);
  expect(rowKey(key, "a").equals(rowKey(new Uint8Array(32).fill(2), "a"))).toBe(false);
});

test("the stored form stays readable: format, nonce, tag, text", () => {
  const nonce = Buffer.alloc(12, 7);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from("row 1"));
  const text = Buffer.concat([cipher.update("kept"), cipher.final()]);
  const stored = Buffer.concat([Buffer.of(1), nonce, cipher.getAuthTag(), text]);
  expect(openSealed(key, stored, "row 1").toString()).toBe("kept");
});
