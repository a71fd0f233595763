// Tests which fields a request changes, with and without a mask.
import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { changedPaths } from "./update-mask.ts";

interface Changes {
  readonly name?: string | undefined;
  readonly timeZone?: string | undefined;
  readonly otherNames: readonly string[];
}

const FIELDS = { name: "name", time_zone: "timeZone", other_names: "otherNames" } as const;
const mask = (...paths: string[]) => create(FieldMaskSchema, { paths });

test.each([
  [undefined, undefined, []],
  [undefined, { otherNames: [] }, []],
  [undefined, { timeZone: "", otherNames: ["a"] }, ["time_zone", "other_names"]],
  [mask(), { name: "a", otherNames: [] }, ["name"]],
  [mask("time_zone"), { name: "a", otherNames: [] }, ["time_zone"]],
  [mask("time_zone", "name", "time_zone"), undefined, ["time_zone", "name"]],
])("%j and %j", (updateMask, changes: Changes | undefined, paths) => {
  expect(changedPaths(updateMask, changes, FIELDS)).toEqual(paths);
});

test.each(["id", "timeZone", "toString", "__proto__", "x".repeat(101)])("%s is no path", (path) => {
  const message = `names no field that can be changed: ${path.slice(0, 100)}`;
  expect(() => changedPaths<Changes, typeof FIELDS>(mask("name", path), undefined, FIELDS)).toThrow(
    expect.objectContaining({ reason: "FIELD_INVALID", fields: [{ field: "update_mask", message }] }),
  );
});
