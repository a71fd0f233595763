// Starts a headless Chromium of this machine, and installs Chromium where that is allowed.
import { type Browser, chromium } from "playwright-core";
import { findProgram, installDebianPackage } from "./machine-programs.ts";

const NAMES = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

export async function startBrowser(): Promise<Browser> {
  if (findProgram(...NAMES) === undefined) await installDebianPackage("chromium-headless-shell");
  const executablePath = findProgram(...NAMES);
  if (executablePath === undefined) {
    throw new Error("no browser for the tests: install chromium or chromium-headless-shell");
  }
  // Chromium's sandbox does not work for root, and the pages are Muster's own.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}
