import { expect, test } from "vitest";
import { timeZoneNamed } from "./time-zone.ts";

test.each([
  ["UTC", "UTC"],
  ["Europe/Berlin", "Europe/Berlin"],
  ["europe/berlin", "Europe/Berlin"],
  ["America/Argentina/Ushuaia", "America/Argentina/Ushuaia"],
])("%s is a zone", (text, name) => {
  expect(timeZoneNamed(text)).toBe(name);
});

test("both names of a zone that has two are kept as they were given", () => {
  expect(timeZoneNamed("Asia/Kolkata")).toBe("Asia/Kolkata");
  expect(timeZoneNamed("Asia/Calcutta")).toBe("Asia/Calcutta");
});

test.each([
  "",
  " ",
  "Mars/Olympus",
  "+02:00",
  "-0800",
  "UTC+2",
  "Europe/Berlin ",
  "../etc/passwd",
  "Ünïcode",
])("%j is none", (text) => {
  expect(timeZoneNamed(text)).toBeUndefined();
});
