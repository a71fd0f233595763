import { equals, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { BatchRecordEventsRequestSchema } from "@muster/contracts/muster/events/v1/event_service_pb";
import { describe, expect, test } from "vitest";
import { message, registry } from "../../testdata/load.ts";
import { DecodeError } from "./decode-error.ts";
import { MessageCodecs } from "./message-codec.ts";
import { parseJson, textContext } from "./parse-json.ts";

const codecs = new MessageCodecs(registry);
const Everything = message("Everything");

function read(json: string, { ignoreUnknown = false, type = "Everything" } = {}) {
  const desc = message(type);
  const { value, context } = parseJson(json, { ignoreUnknown, keepNumbers: codecs.hasRawJson(desc) });
  return codecs.message(desc).decode(value, context) as unknown as Record<string, unknown>;
}

function failure(json: string, type = "Everything"): string {
  try {
    read(json, { type });
  } catch (error) {
    if (error instanceof DecodeError) return `${error.path}: ${error.message}`;
    throw error;
  }
  return "no failure";
}

describe("refused input", () => {
  test.each([
    ['{"text":1}', "text: must be a string"],
    ['{"text":{"a":1}}', "text: must be a string"],
    ['{"flag":"true"}', "flag: must be true or false"],
    ['{"flag":1}', "flag: must be true or false"],
    ['{"small":1.5}', "small: must be an integer"],
    ['{"small":"1.0"}', "small: must be an integer"],
    ['{"small":""}', "small: must be an integer"],
    ['{"small":2147483648}', "small: must be an integer from -2147483648 to 2147483647"],
    ['{"small_unsigned":-1}', "small_unsigned: must be an integer from 0 to 4294967295"],
    ['{"large":9007199254740993}', "large: must be a string above 2^53-1"],
    ['{"large":1e300}', "large: must be a string above 2^53-1"],
    [
      '{"large":"9223372036854775808"}',
      "large: must be an integer from -9223372036854775808 to 9223372036854775807",
    ],
    ['{"large":"12abc"}', "large: must be an integer in decimal digits"],
    ['{"number_alone":"1"}', "number_alone: must be a number"],
    ['{"number_alone":1.5}', "number_alone: must be an integer"],
    ['{"number_alone":9007199254740992}', "number_alone: must be within 2^53-1 of zero"],
    ['{"number_alone":null,"raw":{"a":1.10},"large":"x"}', "large: must be an integer in decimal digits"],
    ['{"large_unsigned":-1}', "large_unsigned: must be an integer from 0 to 18446744073709551615"],
    ['{"real":"abc"}', "real: must be a number"],
    ['{"real":1e999}', "real: is a number out of range"],
    ['{"real":true}', "real: must be a number"],
    ['{"single":1e39}', "single: is a number out of range"],
    ['{"blob":"?"}', "blob: must be base64"],
    ['{"blob":"a"}', "blob: must be base64"],
    ['{"blob":"YQ="}', "blob: must be base64"],
    ['{"color":"pink"}', "color: must be one of red, dark_blue"],
    ['{"color":7}', "color: must be one of red, dark_blue"],
    ['{"color":true}', "color: must be one of red, dark_blue"],
    ['{"time":"2019-02-29T00:00:00Z"}', "time: is a time that does not exist"],
    ['{"time":12}', "time: must be a string"],
    ['{"text":"first","text":"last"}', "text: is given twice"],
    ['{"child":{"labels":{"a":"1","b":"2","a":"1"}}}', "child.labels.a: is given twice"],
    ['{"raw":{"list":[{},{"a":1,"a":1}]}}', "raw.list[1].a: is given twice"],
    ['{"duration":"3.5"}', 'duration: must be a duration in seconds, such as "3.5s"'],
    ['{"mask":"a,,b"}', "mask: must be field paths with commas between them"],
    ['{"wrapped_large":"x"}', "wrapped_large: must be an integer in decimal digits"],
    ['{"struct":[]}', "struct: must be an object"],
    ['{"struct":{"a":1e999}}', "struct: holds a number that is too large"],
    ['{"list_value":{}}', "list_value: must be an array"],
    ['{"any":{}}', "any.@type: is not a known type"],
    ['{"any":{"@type":"type.googleapis.com/no.Such"}}', "any.@type: is not a known type"],
    ['{"raw":[]}', "raw: must be a JSON object"],
    ['{"raw":"{}"}', "raw: must be a JSON object"],
    ['{"raw":1.10}', "raw: must be a JSON object"],
    ['{"raw":{"a":1e999}}', "raw: holds a number that is too large"],
    ['{"raw":{"a":-1e999}}', "raw: holds a number that is too large"],
    ['{"raw":{"a":"\\ud800"}}', "raw: holds half a surrogate pair"],
    ['{"raw":{"\\udfff":1}}', "raw: holds half a surrogate pair"],
    ['{"text":"\\ud800"}', "text: holds half a surrogate pair"],
    ['{"texts":"a"}', "texts: must be an array"],
    ['{"texts":["a",null]}', "texts[1]: must not be null"],
    ['{"smalls":[1,"x"]}', "smalls[1]: must be an integer"],
    ['{"labels":[]}', "labels: must be an object"],
    ['{"labels":{"a":1}}', 'labels["a"]: must be a string'],
    ['{"labels":{"a":null}}', 'labels["a"]: must not be null'],
    ['{"by_number":{"x":{}}}', 'by_number["x"]: must be an integer'],
    ['{"by_flag":{"yes":1}}', 'by_flag["yes"]: must be true or false'],
    ['{"child":[]}', "child: must be an object"],
    [
      '{"child":{"children":[{},{"smallUnsigned":-1}]}}',
      "child.children[1].small_unsigned: must be an integer from 0 to 4294967295",
    ],
    ['{"choice_text":"a","choice_large":1}', "choice_large: cannot be given together with choice_text"],
    ['{"maybe_text":"a","maybeText":"b"}', "maybe_text: is given twice, as maybe_text and maybeText"],
    ['{"no_such":1}', "no_such: is not a known field"],
    ['{"child":{"no_such":1}}', "child.no_such: is not a known field"],
    ['{"__proto__":{}}', "__proto__: is not a known field"],
    ['{"constructor":{}}', "constructor: is not a known field"],
    ["[]", ": must be an object"],
    ["1.10", ": must be an object"],
    ["null", ": must be an object"],
    ["", ": The body is not valid JSON."],
    ['{"text":"a",}', ": The body is not valid JSON (at character 12)."],
    ['{"text":NaN}', ": The body is not valid JSON."],
  ])("%s", (json, expected) => {
    expect(failure(json)).toBe(expected);
  });

  test("an unreadable key is cut to a length that fits an error", () => {
    expect(failure(`{"${"k".repeat(5000)}":1}`).length).toBeLessThan(200);
  });

  test("nesting past the limit", () => {
    const nested = (depth: number) => `${'{"child":'.repeat(depth)}{}${"}".repeat(depth)}`;
    expect(failure(nested(63))).toBe("no failure");
    expect(failure(nested(64))).toMatch(/is nested deeper than 64 levels$/);
    const raw = (depth: number) => `{"raw":${'{"a":'.repeat(depth)}1${"}".repeat(depth)}}`;
    expect(failure(raw(63))).toBe("no failure");
    expect(failure(raw(64))).toBe("raw: is nested deeper than 64 levels");
    const arrays = `{"raw":{"a":${"[".repeat(200_000)}1.10${"]".repeat(200_000)}}}`;
    expect(failure(arrays)).toMatch(/is nested deeper than 64 levels$/);
  });
});

describe("accepted input", () => {
  test.each<[string, string, unknown]>([
    ['{"maybeText":"camel"}', "maybeText", "camel"],
    ['{"small":3.0}', "small", 3],
    ['{"small":"-7"}', "small", -7],
    ['{"small":1e3}', "small", 1000],
    ['{"large":9007199254740991}', "large", 9007199254740991n],
    ['{"large":"-9223372036854775808"}', "large", -9223372036854775808n],
    ['{"large_text":"12"}', "largeText", "12"],
    ['{"large_unsigned":"18446744073709551615"}', "largeUnsigned", 18446744073709551615n],
    ['{"real":"NaN"}', "real", Number.NaN],
    ['{"real":"-Infinity"}', "real", Number.NEGATIVE_INFINITY],
    ['{"real":"1.5e3"}', "real", 1500],
    ['{"blob":"-_8="}', "blob", new Uint8Array([251, 255])],
    ['{"blob":"+/8"}', "blob", new Uint8Array([251, 255])],
    ['{"color":"DARK_blue"}', "color", 2],
    ['{"color":"COLOR_RED"}', "color", 1],
    ['{"color":2}', "color", 2],
    ['{"maybe_small":null}', "maybeSmall", undefined],
    ['{"texts":null}', "texts", []],
    ['{"child":null}', "child", undefined],
    ['{"labels":{"__proto__":"x"}}', "labels", JSON.parse('{"__proto__":"x"}')],
    ['{"wrapped_text":"w"}', "wrappedText", "w"],
    ['{"text":"\\ud83d\\ude00"}', "text", "😀"],
    [
      '{"mask":"userId,a_b.cD"}',
      "mask",
      { $typeName: "google.protobuf.FieldMask", paths: ["user_id", "a_b.c_d"] },
    ],
    [
      '{"duration":"-3.5s"}',
      "duration",
      { $typeName: "google.protobuf.Duration", seconds: -3n, nanos: -500_000_000 },
    ],
    ['{"choice_text":null,"choice_large":4}', "choice", { case: "choiceLarge", value: 4n }],
    // Numbers with their source text do not disturb typed fields.
    [
      '{"raw_always":{"a":1.10},"small":2.0,"real":1.50,"struct":{"x":2.50,"y":[1e2]}}',
      "struct",
      { x: 2.5, y: [100] },
    ],
  ])("%s", (json, field, expected) => {
    expect(read(json)[field]).toEqual(expected);
  });

  test("unknown keys are skipped where the method's option allows them", () => {
    expect(read('{"no_such":{"deep":1},"text":"a"}', { ignoreUnknown: true }).text).toBe("a");
  });
});

describe("JSON kept as text", () => {
  test.each([
    '{"a":9007199254740993,"b":1.10,"c":-0,"d":1E+2,"e":0.00000001}',
    '{"a":123456789012345678901234567890.5}',
    '{"a":[1.0,{"b":2.00}]}',
    '{"a":"1.10,"}',
    '{"__proto__":{"x":1}}',
    "{}",
  ])("%s survives as written", (json) => {
    const kept = read(`{"raw": ${json} , "small": 1}`).raw;
    expect(kept).toBe(json);
    expect(codecs.message(Everything).encode(read(`{"raw":${json}}`))).toContain(`"raw":${json}`);
  });
});

test("an item that cannot be read is left empty and reported beside", () => {
  const batch = read(
    '{"items":[{"name":"a"},7,{"name":2},{"properties":{"x":[]}},{"amount":1,"extra":1}],"note":"n"}',
    { type: "Batch" },
  );
  expect((batch.items as { name: string }[]).map((item) => item.name)).toEqual(["a", "", "", "", ""]);
  expect(batch.unreadable).toMatchObject([
    { index: 1, field: "", message: "must be an object" },
    { index: 2, field: "name", message: "must be a string" },
    { index: 4, field: "extra", message: "is not a known field" },
  ]);
  expect(failure('{"unreadable":[]}', "Batch")).toBe("unreadable: is not a known field");
});

test("a list longer than its rule allows is refused before any item is decoded", () => {
  const events = new Array(5001).fill({});
  Object.defineProperty(events, 0, {
    get: () => {
      throw new Error("an item was read");
    },
  });
  const decode = (): unknown =>
    codecs.message(BatchRecordEventsRequestSchema).decode({ events }, textContext());
  expect(decode).toThrow(
    expect.objectContaining({
      path: "events",
      reason: "FIELD_INVALID",
      message: "must contain no more than 5000 items",
    }),
  );
});

test("faulty items one after another do not count as nesting", () => {
  const items = Array.from({ length: 200 }, () => '{"name":1}').join(",");
  expect(read(`{"items":[${items}]}`, { type: "Batch" }).unreadable).toHaveLength(200);
});

test("a list of nothing but unreadable items is refused as a whole, rather than reported at a multiple of its size", () => {
  const ones = (count: number): string => `{"items":[${new Array(count).fill(1)}]}`;
  expect(read(ones(5000), { type: "Batch" }).unreadable).toHaveLength(5000);
  expect(failure(ones(5001), "Batch")).toBe("items[5000]: must be an object");
});

test("a decoded message equals what the library decodes", () => {
  const json =
    '{"text":"t","child":{"small":3,"colors":["COLOR_RED",2]},"byNumber":{"-4":{"flag":true}},"value":[null,{"a":1}],' +
    '"time":"2019-10-01T02:00:00.5+02:00","choiceWrapped":"w","wrappedFlags":[true],"listValue":[1],"struct":{"s":null},' +
    '"any":{"@type":"type.googleapis.com/transcoder.test.v1.Item","name":"n"},"duration":"1.000000001s"}';
  const library = fromJson(Everything, JSON.parse(json) as JsonValue, { registry });
  expect(equals(Everything, read(json) as never, library)).toBe(true);
});

test("every field is written, in snake_case", () => {
  const written = JSON.parse(codecs.message(Everything).encode(read('{"text":"t","choice_large":5}')));
  const shown = Everything.fields.filter(({ name, oneof }) => oneof === undefined || name === "choice_large");
  expect(Object.keys(written)).toEqual(shown.map((field) => field.name));
  expect(written).toMatchObject({
    text: "t",
    flag: false,
    blob: "",
    large: 0,
    color: "unspecified",
    maybe_text: null,
    child: null,
    texts: [],
    labels: {},
    choice_large: 5,
    time: null,
    raw: null,
    raw_always: {},
  });
});

test.each([
  ['{"time":"2019-10-01T00:00:00Z"}', '"time":"2019-10-01T00:00:00.000Z"'],
  ['{"duration":"3.500s"}', '"duration":"3.500s"'],
  ['{"large":"9223372036854775807"}', '"large":9223372036854775807'],
  ['{"color":"dark_blue"}', '"color":"dark_blue"'],
  ['{"real":"NaN"}', '"real":"NaN"'],
  ['{"blob":"_-8"}', '"blob":"/+8="'],
  ['{"labels":{"b":"2","a":"1"}}', '"labels":{"a":"1","b":"2"}'],
  ['{"mask":"a,b_c"}', '"mask":"a,b_c"'],
  ['{"text":"\\u0000\\"é"}', '"text":"\\u0000\\"é"'],
])("%s is written as %s", (json, expected) => {
  expect(codecs.message(Everything).encode(read(json))).toContain(expected);
});
