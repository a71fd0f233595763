// Prints addresses and first commands once the embedded mode is ready.
import type { Config } from "@muster/config";
import type { RunningServer } from "./server.ts";

export function readyBanner(config: Config, { httpPort, grpcPort, platform }: RunningServer): string {
  const url = `http://${config.httpHost}:${httpPort}`;
  const rows: [string, string][] = [
    ["REST, Connect, gRPC-Web", url],
    ["gRPC", `${config.grpcHost}:${grpcPort ?? config.grpcPort}`],
    ["Data", config.dataDir],
  ];
  if (platform.storedMails !== undefined) rows.push(["Mails", `${url}/dev/mail`]);
  if (platform.demo !== undefined) {
    const { newApiKey, apiKeyPath, owner } = platform.demo;
    rows.push([
      "Demo API key",
      newApiKey === undefined ? `in ${apiKeyPath}` : `${newApiKey} (also in ${apiKeyPath})`,
    ]);
    const { email, newPassword, passwordPath } = owner;
    rows.push([
      "Demo owner",
      newPassword === undefined
        ? `${email}, first password in ${passwordPath}`
        : `${email} with the password ${newPassword} (also in ${passwordPath})`,
    ]);
  }
  const lines = rows.map(([name, value]) => `  ${name.padEnd(24)}${value}`);
  return ["", "Muster is ready.", "", ...lines, "", ...tryIt(url, platform.demo?.apiKeyPath), ""].join("\n");
}

function tryIt(url: string, apiKeyPath: string | undefined): string[] {
  if (apiKeyPath === undefined) return [];
  return [
    "Send an event:",
    `  curl ${url}/v1/events -H "Authorization: Bearer $(cat ${apiKeyPath})" \\`,
    `    -H 'Content-Type: application/json' -d '{"user_id":"ada","name":"product.viewed"}'`,
    "",
  ];
}
