#!/usr/bin/env node
// The one executable: reads the command line and hands over to a command.
import { ConfigError, loadConfig, printConfig } from "@muster/config";
import { AppError } from "@muster/errors";
import { Command } from "commander";
import { addCreateOrganizationCommand } from "./commands/create-organization.ts";
import { addCreatePartnerCommand } from "./commands/create-partner.ts";
import { addDemoDataCommand } from "./commands/demo-data.ts";
import { addImportCommand } from "./commands/import.ts";
import { addMigrateCommand } from "./commands/migrate.ts";
import { addRotateSigningKeyCommand } from "./commands/rotate-signing-key.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addVerifySegmentsCommand } from "./commands/verify-segments.ts";
import { ImportFailed } from "./import/send-batches.ts";
import { StartError } from "./start-error.ts";

const EXAMPLES = `
Examples:
  muster serve                      everything in one process, data in ./data
  muster demo-data -o shop.csv      a made-up shop's history
  muster import shop.csv            sends it to the running server
  muster --print-config             the configuration in use, without secrets
  muster help serve                 more about a command`;

function buildProgram(): Command {
  const program = new Command("muster")
    .description("Ingests events, keeps profiles, and maintains segment membership exactly and in real time.")
    .option("--print-config", "print the configuration without secrets, and exit")
    .enablePositionalOptions() // Without it, `serve --print-config` would be parsed as a global option.
    .showHelpAfterError("(muster --help prints more)")
    .addHelpText("after", EXAMPLES)
    .allowExcessArguments()
    .action((flags: { readonly printConfig?: boolean }, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) return command.error(`error: unknown command '${unknown}'`);
      if (flags.printConfig !== true) return command.help({ error: true });
      loadConfig({ command: "administer" });
      process.stdout.write(printConfig());
    });
  addServeCommand(program);
  addMigrateCommand(program);
  addCreateOrganizationCommand(program);
  addCreatePartnerCommand(program);
  addRotateSigningKeyCommand(program);
  addImportCommand(program);
  addDemoDataCommand(program);
  addVerifySegmentsCommand(program);
  return program;
}

/**
 * Errors that the user can correct are printed as a sentence; any other error is a defect and keeps its
 * stack.
 */
function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError) return error.message.trimEnd();
  if (error instanceof AppError || error instanceof ImportFailed) return error.message;
  if (error instanceof Error && "syscall" in error) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// The reader of the output closed the pipe, as `head` does.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  await buildProgram().parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  // Open handles must not keep a failed start from ending.
  process.exit(1);
}
