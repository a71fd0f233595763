// Makes codes of authenticator apps with oathtool, an implementation that shares no code with Muster.
import { findProgram, installDebianPackage, run } from "./machine-programs.ts";

const TIMEOUT_MS = 10_000;

/** The six-digit code of a Base32 secret at an instant. */
export async function oathtoolCode(secret: string, nowMs: number): Promise<string> {
  if (findProgram("oathtool") === undefined) await installDebianPackage("oathtool");
  const program = findProgram("oathtool");
  if (program === undefined) throw new Error("no oathtool for the tests: install oathtool (oath-toolkit)");
  const now = `@${Math.floor(nowMs / 1000)}`;
  const result = await run(program, ["--totp", "--base32", "--now", now, secret], TIMEOUT_MS);
  if (!result.isSuccess) throw new Error(`oathtool failed:\n${result.output}`);
  return result.output.trim();
}
