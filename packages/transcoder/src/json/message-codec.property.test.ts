import { create, equals, fromJson, type Message } from "@bufbuild/protobuf";
import { anyPack, ListValueSchema, ValueSchema } from "@bufbuild/protobuf/wkt";
import { checkProperty } from "@muster/testkit/check-property";
import fc from "fast-check";
import { expect, test } from "vitest";
import { message, registry } from "../../testdata/load.ts";
import { MessageCodecs } from "./message-codec.ts";
import { parseJson } from "./parse-json.ts";

const Everything = message("Everything");
const Item = message("Item");
const codecs = new MessageCodecs(registry);

const safe = fc.maxSafeInteger().map(BigInt);
const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value.isWellFormed());
const real = fc.double({ noNaN: true, noDefaultInfinity: false }).map((value) => value + 0);
const bytes = fc.uint8Array({ maxLength: 9 });
const jsonObject = fc.dictionary(text, fc.jsonValue({ maxDepth: 2, noUnicodeString: false })).map(stable);
const time = fc
  .date({
    min: new Date("0001-01-01T00:00:00Z"),
    max: new Date("9999-12-31T23:59:59.999Z"),
    noInvalidDate: true,
  })
  .map((date) => instant(date.getTime()));
const duration = fc
  .tuple(fc.integer({ min: -(10 ** 9), max: 10 ** 9 }), fc.nat(999_999_999))
  .map(([s, n]) => ({
    $typeName: "google.protobuf.Duration",
    seconds: BigInt(s),
    nanos: s < 0 ? -n : n,
  }));

/** Passes the value through JSON, which removes -0 and unpaired surrogates. */
function stable(value: unknown): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(value)
      .toWellFormed()
      .replaceAll(/\\ud[89a-f]../gi, "?"),
  );
}

function instant(ms: number) {
  const seconds = Math.floor(ms / 1000);
  return {
    $typeName: "google.protobuf.Timestamp",
    seconds: BigInt(seconds),
    nanos: (ms - seconds * 1000) * 1_000_000,
  };
}

const { everything } = fc.letrec<{ everything: Message }>((tie) => {
  const scalars = {
    text,
    flag: fc.boolean(),
    blob: bytes,
    real,
    single: fc.float({ noNaN: true }).map((value) => value + 0),
    small: fc.integer(),
    smallUnsigned: fc.nat(2 ** 31 - 1).map((value) => value * 2),
    large: safe,
    largeUnsigned: fc.maxSafeNat().map(BigInt),
    largeText: safe.map(String),
    color: fc.constantFrom(0, 1, 2),
    maybeText: fc.option(text, { nil: undefined }),
    maybeSmall: fc.option(fc.integer(), { nil: undefined }),
    maybeFlag: fc.option(fc.boolean(), { nil: undefined }),
    maybeColor: fc.option(fc.constantFrom(0, 1, 2), { nil: undefined }),
    maybeBlob: fc.option(bytes, { nil: undefined }),
    maybeLarge: fc.option(safe, { nil: undefined }),
    texts: fc.array(text, { maxLength: 3 }),
    smalls: fc.array(fc.integer(), { maxLength: 3 }),
    colors: fc.array(fc.constantFrom(0, 1, 2), { maxLength: 3 }),
    labels: fc.dictionary(text, text, { maxKeys: 3 }),
    byFlag: fc.dictionary(fc.constantFrom("true", "false"), real),
  };
  const wellKnown = {
    time: fc.option(time, { nil: undefined }),
    duration: fc.option(duration, { nil: undefined }),
    mask: fc.option(
      fc.array(fc.constantFrom("a", "a_b.c_d"), { maxLength: 2 }).map((paths) => ({ paths })),
      { nil: undefined },
    ),
    wrappedText: fc.option(text, { nil: undefined }),
    wrappedLarge: fc.option(safe, { nil: undefined }),
    struct: fc.option(jsonObject, { nil: undefined }),
    value: fc.option(
      jsonObject.map((json) => fromJson(ValueSchema, json as never)),
      { nil: undefined },
    ),
    listValue: fc.option(
      jsonObject.map((json) => fromJson(ListValueSchema, [json as never])),
      { nil: undefined },
    ),
    any: fc.option(
      text.map((name) => anyPack(Item, create(Item, { name }))),
      { nil: undefined },
    ),
    raw: fc.option(
      jsonObject.map((json) => JSON.stringify(json)),
      { nil: undefined },
    ),
    rawAlways: jsonObject.map((json) => JSON.stringify(json)),
    times: fc.array(time, { maxLength: 2 }),
    wrappedFlags: fc.array(
      fc.boolean().map((value) => ({ value })),
      { maxLength: 2 },
    ),
  };
  const nested = {
    child: fc.option(tie("everything"), { nil: undefined, depthIdentifier: "e" }),
    children: fc.array(tie("everything"), { maxLength: 2, depthIdentifier: "e" }),
    byNumber: fc.dictionary(fc.integer().map(String), tie("everything"), {
      maxKeys: 2,
      depthIdentifier: "e",
    }),
    choice: fc.oneof(
      { depthIdentifier: "e", maxDepth: 2 },
      fc.constant({ case: undefined }),
      text.map((value) => ({ case: "choiceText", value })),
      safe.map((value) => ({ case: "choiceLarge", value })),
      text.map((value) => ({ case: "choiceWrapped", value: { value } })),
      tie("everything").map((value) => ({ case: "choiceChild", value })),
    ),
  };
  const leaf = fc.record({ ...scalars, ...wellKnown });
  return {
    everything: fc
      .oneof({ depthIdentifier: "e", maxDepth: 2 }, leaf, fc.record({ ...scalars, ...wellKnown, ...nested }))
      .map((init) => create(Everything, init)),
  };
});

test("decoding what was encoded gives the same message", async () => {
  const codec = codecs.message(Everything);
  await checkProperty(
    fc.property(everything, (original) => {
      const json = codec.encode(original);
      const { value, context } = parseJson(json, { ignoreUnknown: false, keepNumbers: true });
      const back = codec.decode(value, context);
      expect(codec.encode(back)).toBe(json);
      expect(equals(Everything, back, original)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("no text makes the decoder fail otherwise than by naming what is wrong", async () => {
  const codec = codecs.message(Everything);
  const names = Everything.fields.map((field) => field.name);
  const body = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
  await checkProperty(
    fc.property(body, (json) => {
      const { value, context } = parseJson(JSON.stringify(json), { ignoreUnknown: false, keepNumbers: true });
      try {
        codec.decode(value, context);
      } catch (error) {
        expect(error).toMatchObject({ name: "DecodeError", path: expect.stringMatching(/^[a-z_]+/) });
      }
    }),
    { numRuns: 1000 },
  );
});
