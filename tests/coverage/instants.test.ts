// Compares what the four parsers of instants accept: one row per text, one column per parser.

import { golden } from "@muster/testkit";
import { test } from "vitest";
import { parseTime } from "../../apps/muster/src/import/parse-time.ts";
import { parseInstant as parseJson } from "../../packages/transcoder/src/json/time-text.ts";
import {
  parseClientInstant,
  parseInstant as parseRfc,
} from "../../services/events/src/tracking-calls/instant-text.ts";
import { parseInstant as parseCel } from "../../services/segments/src/predicates/values/time-literal.ts";

const TEXTS = [
  "2019-10-01T00:00:00Z",
  "2019-10-01T00:00:00.000Z",
  "2019-10-01t12:34:56.789z",
  "2019-10-01T12:34:56.7Z",
  "2019-10-01T12:34:56.7891Z",
  "2019-10-01T12:34:56.999999999Z",
  "2019-10-01T12:34:56.9999999999Z",
  `2019-10-01T12:34:56.${"1".repeat(30)}Z`,
  `2019-10-01T12:34:56.${"1".repeat(31)}Z`,
  `2019-10-01T12:34:56.${"1".repeat(60)}Z`,
  "2019-10-01T12:34:56,789Z",
  "2019-10-01T12:34:56.Z",
  "2019-10-01T12:34:56+02:00",
  "2019-10-01T12:34:56-05:30",
  "2019-10-01T12:34:56+0200",
  "2019-10-01T12:34:56+02",
  "2019-10-01T12:34:56+2:00",
  "2019-10-01T12:34:56+23:59",
  "2019-10-01T12:34:56+24:00",
  "2019-10-01T12:34:56+02:60",
  "2019-10-01T12:34:56-00:00",
  "2019-10-01T12:34:56",
  "2019-10-01T12:34Z",
  "2019-10-01T12:34",
  "2019-10-01T12Z",
  "2019-10-01 12:34:56",
  "2019-10-01 12:34:56Z",
  "2019-10-01 12:34:56 UTC",
  "2019-10-01 12:34:56 utc",
  "2019-10-01 12:34:56 +02:00",
  "2019-10-01 12:34 UTC",
  "2019-10-01  12:34:56 UTC",
  "2019-10-01",
  "2019-10-01Z",
  "2019-10-01 Z",
  "2019-10",
  "2019",
  "20191001T123456Z",
  "1569933296",
  "1569933296000",
  "99999999999",
  "100000000000",
  "0",
  "-1",
  "1569933296.5",
  "",
  " 2019-10-01T00:00:00Z ",
  "2019-10-01T00:00:00Z\n",
  "2019-10-01T23:59:60Z",
  "2019-10-01T24:00:00Z",
  "2019-10-01T12:60:00Z",
  "2019-02-29T00:00:00Z",
  "2020-02-29T00:00:00Z",
  "1900-02-29T00:00:00Z",
  "2000-02-29T00:00:00Z",
  "2019-02-30T00:00:00Z",
  "2019-04-31T00:00:00Z",
  "2019-13-01T00:00:00Z",
  "2019-00-01T00:00:00Z",
  "2019-01-00T00:00:00Z",
  "0000-01-01T00:00:00Z",
  "0001-01-01T00:00:00Z",
  "0001-01-01T00:00:00+00:01",
  "0099-03-01T00:00:00Z",
  "1969-12-31T23:59:59.999Z",
  "1969-12-31T23:59:59.9999Z",
  "9999-12-31T23:59:59.999Z",
  "9999-12-31T23:59:59.9999Z",
  "9999-12-31T23:59:59-00:01",
  "10000-01-01T00:00:00Z",
  "+2019-10-01T00:00:00Z",
  "２０１９-10-01T00:00:00Z",
  "2019-10-01T00:00:00ZZ",
  "Tue, 01 Oct 2019 00:00:00 GMT",
  "now",
];

/** Each parser's epoch ms, cut towards the past, or undefined for a text it refuses. */
const parsers: Readonly<Record<string, (text: string) => number | undefined>> = {
  "transcoder JSON": (text) => {
    try {
      const { seconds, nanos } = parseJson(text);
      return Number(seconds) * 1000 + nanos / 1_000_000;
    } catch {
      return undefined;
    }
  },
  "predicate literal": (text) => {
    const instant = parseCel(text);
    if (instant === undefined) return undefined;
    return Number((instant.nanos - (((instant.nanos % 1_000_000n) + 1_000_000n) % 1_000_000n)) / 1_000_000n);
  },
  "tracking, RFC 3339": parseRfc,
  "tracking, lenient": parseClientInstant,
  "import file": parseTime,
};

test("the parsers of instants accept what was reviewed", async () => {
  const header = ["text", ...Object.keys(parsers)].join(" | ");
  const rows = TEXTS.map((text) => {
    const columns = Object.values(parsers).map((parse) => String(parse(text) ?? "refused"));
    return [JSON.stringify(text), ...columns].join(" | ");
  });
  await golden("instants.txt", `${header}\n${rows.map((row) => `${row}\n`).join("")}`);
});
