// Creates an organization beside a running installation, as an operator does.
import type { Installation } from "./installation.ts";
import { runMuster } from "./process.ts";

export interface CreatedOrganization {
  readonly organizationId: string;
  readonly apiKey: string;
}

export async function createOrganization(
  { variables }: Pick<Installation, "variables">,
  name: string,
): Promise<CreatedOrganization> {
  const { code, stdout, stderr } = await runMuster(["create-organization", "--name", name], variables);
  const [, organizationId, apiKey] = /^organization_id (\S+)\napi_key +(\S+)$/m.exec(stdout) ?? [];
  if (code !== 0 || organizationId === undefined || apiKey === undefined) {
    throw new Error(`muster create-organization failed: ${stderr}${stdout}`);
  }
  return { organizationId, apiKey };
}
