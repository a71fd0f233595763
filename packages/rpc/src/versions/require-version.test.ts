import { AppError } from "@muster/errors";
import { describe, expect, test } from "vitest";
import { type NamedVersion, requireVersion } from "./require-version.ts";

function outcome(named: Partial<NamedVersion>, isRequired = false): string {
  try {
    requireVersion({ ifMatch: undefined, version: undefined, ...named, current: 7n, isRequired });
    return "passes";
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.row.http} ${error.reason} ${error.details.version ?? ""}`.trim();
  }
}

describe("If-Match", () => {
  test.each(['"7"', '"7-digest"', '"6", "7-a-b"', "*", ' "7" '])("%s matches version 7", (ifMatch) => {
    expect(outcome({ ifMatch }, true)).toBe("passes");
  });

  test.each(['"6"', '"77"', 'W/"7"', 'W/"7-x"', "7", "", '"', '"-7"', '"07"', '"*"', '"x7"'])(
    "%s does not",
    (ifMatch) => {
      expect(outcome({ ifMatch })).toBe("412 ETAG_MISMATCH 7");
    },
  );
});

test("a version is compared as a number, and If-Match comes first", () => {
  expect(outcome({ version: 7 }, true)).toBe("passes");
  expect(outcome({ version: 7n })).toBe("passes");
  expect(outcome({ version: 6 })).toBe("409 VERSION_CONFLICT 7");
  expect(outcome({ version: 0 })).toBe("409 VERSION_CONFLICT 7");
  expect(outcome({ ifMatch: '"7"', version: 6 })).toBe("409 VERSION_CONFLICT 7");
  expect(outcome({ ifMatch: '"6"', version: 6 })).toBe("412 ETAG_MISMATCH 7");
});

test("a request that names no version passes unless one is required", () => {
  expect(outcome({})).toBe("passes");
  expect(outcome({}, true)).toBe("428 VERSION_REQUIRED");
});
