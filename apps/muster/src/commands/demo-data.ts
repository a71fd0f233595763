// `muster demo-data`: writes a made-up shop's history that `muster import` reads as it is.
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { systemClock } from "@muster/core";
import { type Command, InvalidArgumentError } from "commander";
import { type ShopEvent, shopHistory, startOfRecentHistory } from "../demo-data/shop-history.ts";

interface DemoDataFlags {
  readonly events: number;
  readonly seed: number;
  readonly shoppers?: number;
  readonly start?: number;
  readonly days: number;
  readonly format: "csv" | "ndjson";
  readonly output: string;
}

export function addDemoDataCommand(program: Command): void {
  program
    .command("demo-data")
    .description(
      "Write a realistic shop history (sign-ins, views, carts, orders); the same seed and start give the same file",
    )
    .option("--events <count>", "number of events", wholeNumber, 10_000)
    .option("--seed <number>", "seed of the history", wholeNumber, 1)
    .option("--shoppers <count>", "number of shoppers (default: a twentieth of the events)", wholeNumber)
    .option(
      "--start <date>",
      "first day as YYYY-MM-DD, in UTC (default: so that the last event is of yesterday)",
      day,
    )
    .option("--days <count>", "length of the history in days", wholeNumber, 30)
    .option("--format <format>", "csv or ndjson", format, "csv")
    .option("-o, --output <file>", "output file; - for standard output", "-")
    .addHelpText(
      "after",
      "\nExample:\n  muster demo-data --events 200000 -o shop.csv && muster import shop.csv",
    )
    .action(async (flags: DemoDataFlags) => writeHistory(flags));
}

async function writeHistory(flags: DemoDataFlags): Promise<void> {
  const output: Writable = flags.output === "-" ? process.stdout : createWriteStream(flags.output);
  const shoppers = flags.shoppers ?? Math.max(1, Math.ceil(flags.events / 20));
  const options = { ...flags, shoppers };
  const startMs = flags.start ?? startOfRecentHistory(options, systemClock.nowMs());
  const history = shopHistory({ ...options, startMs });
  const line = flags.format === "csv" ? csvLine : ndjsonLine;
  let chunk = flags.format === "csv" ? "timestamp,user_id,name,session_id,product_id,category,price\n" : "";
  for (const event of history) {
    chunk += line(event);
    if (chunk.length < 65_536) continue;
    if (!output.write(chunk)) await once(output, "drain");
    chunk = "";
  }
  output.write(chunk);
  if (output === process.stdout) return;
  output.end();
  await once(output, "finish");
}

function csvLine(event: ShopEvent): string {
  const { product } = event;
  const time = new Date(event.timeMs).toISOString();
  const ofProduct = product === undefined ? ",," : `${product.id},${product.category},${product.price}`;
  return `${time},${event.userId},${event.name},${event.sessionId},${ofProduct}\n`;
}

function ndjsonLine(event: ShopEvent): string {
  const { product } = event;
  const properties = {
    session_id: event.sessionId,
    ...(product === undefined
      ? {}
      : { product_id: product.id, category: product.category, price: Number(product.price) }),
  };
  const timestamp = new Date(event.timeMs).toISOString();
  return `${JSON.stringify({ timestamp, user_id: event.userId, name: event.name, properties })}\n`;
}

export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d{1,12}$/.test(text) || number < 1)
    throw new InvalidArgumentError("Give a whole number of at least 1.");
  return number;
}

function day(text: string): number {
  const ms = Date.parse(`${text}T00:00:00.000Z`);
  // Date.parse takes 30 February for 1 March.
  const isDay = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(`${text}T`);
  if (!isDay) throw new InvalidArgumentError("Give a day as YYYY-MM-DD.");
  return ms;
}

function format(text: string): "csv" | "ndjson" {
  if (text !== "csv" && text !== "ndjson") throw new InvalidArgumentError("Give csv or ndjson.");
  return text;
}
