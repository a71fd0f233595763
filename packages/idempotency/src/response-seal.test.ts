import { describe, expect, test } from "vitest";
import type { Claim, KeptResponse } from "./ledger.ts";
import { RESPONSE_BYTES_MAX, ResponseSeal } from "./response-seal.ts";

const seal = new ResponseSeal(new Uint8Array(32).fill(1));
const claim: Claim = { scope: "key/Method", key: "k-1", token: "0190a5b4-0000-7000-8000-000000000001" };
const response: KeptResponse = {
  ok: true,
  body: Buffer.from("a body holding mk_secret"),
  headers: { "muster-http-status": "200", name: "Zoë" },
};

describe("AnswerSeal", () => {
  test("opens a sealed response, and the sealed bytes reveal nothing", () => {
    const bytes = seal.seal(claim, response);
    const opened = seal.open(claim, bytes);
    expect(opened).toEqual({ ...response, body: Buffer.from(opened.body) });
    expect(Buffer.from(opened.body).equals(response.body)).toBe(true);
    for (const text of ["secret", "body", "muster-http-status"]) expect(bytes.includes(text)).toBe(false);
  });

  test("the same response is sealed differently each time", () => {
    expect(seal.seal(claim, response).equals(seal.seal(claim, response))).toBe(false);
  });

  test("an empty body is a body", () => {
    const opened = seal.open(claim, seal.seal(claim, { ok: false, body: new Uint8Array(0), headers: {} }));
    expect(opened.ok).toBe(false);
    expect(opened.body.length).toBe(0);
  });

  test("opens only for its own claim and installation", () => {
    const bytes = seal.seal(claim, response);
    const strangers: Claim[] = [
      { ...claim, scope: "other/Method" },
      { ...claim, key: "k-2" },
      { ...claim, token: "0190a5b4-0000-7000-8000-000000000002" },
    ];
    for (const stranger of strangers) expect(() => seal.open(stranger, bytes)).toThrow();
    expect(() => new ResponseSeal(new Uint8Array(32).fill(2)).open(claim, bytes)).toThrow();
  });

  test("every changed byte is detected", () => {
    const bytes = seal.seal(claim, response);
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => seal.open(claim, changed), String(index)).toThrow();
    }
    expect(() => seal.open(claim, bytes.subarray(0, 20))).toThrow();
  });

  test("fingerprints are keyed and distinguish bodies", () => {
    const print = seal.fingerprint(Buffer.from("body"));
    expect(print.length).toBe(32);
    expect(seal.fingerprint(Buffer.from("body")).equals(print)).toBe(true);
    expect(seal.fingerprint(Buffer.from("bodz")).equals(print)).toBe(false);
    expect(new ResponseSeal(new Uint8Array(32).fill(2)).fingerprint(Buffer.from("body")).equals(print)).toBe(
      false,
    );
  });

  test("limits: a short key, a response that is too large for a row", () => {
    expect(() => new ResponseSeal(new Uint8Array(31))).toThrow("32 bytes");
    const huge = { ok: true, body: new Uint8Array(RESPONSE_BYTES_MAX), headers: {} };
    expect(() => seal.seal(claim, huge)).toThrow("too large to be kept");
  });
});
