// Runs the identity module for tests of personal data, with organizations, members and sessions that calls cannot make.
import { create } from "@bufbuild/protobuf";
import type { Role } from "@muster/authz";
import { OperationState } from "@muster/contracts/muster/identity/v1/operation_pb";
import { OperationService } from "@muster/contracts/muster/identity/v1/operation_service_pb";
import {
  DownloadExportRequestSchema,
  PrivacyService,
} from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { type OrganizationId, randomIds, type SessionId, type UserId } from "@muster/core";
import type { Engine } from "@muster/db";
import { identityModule } from "@muster/service-identity";
import { CrashingDatabase, FakeClock, waitFor } from "@muster/testkit";
import { type CallAs, type ModuleParts, ModuleUnderTest, startParts } from "@muster/testkit/module";
import { insertMembership } from "../../src/memberships/membership-store.ts";
import { createdOrganization } from "../../src/organizations/organization.ts";
import { insertOrganization } from "../../src/organizations/organization-store.ts";
import { insertSession } from "../../src/sessions/session-store.ts";
import { insertUser } from "../../src/users/user-store.ts";

const { exportUser, downloadExport } = PrivacyService.method;
const { getOperation } = OperationService.method;

/** A loaded machine takes seconds for an export. */
const WAIT = { timeoutMs: 30_000, what: "the export" };

export interface Member {
  readonly userId: UserId;
  readonly as: CallAs;
}

export interface Downloaded {
  readonly body: Buffer;
  readonly headers: ReadonlyMap<string, string>;
}

export class PrivacyUnderTest extends ModuleUnderTest {
  override readonly clock: FakeClock;
  readonly crashing: CrashingDatabase;

  private constructor(parts: ModuleParts, clock: FakeClock, crashing: CrashingDatabase) {
    super(parts);
    this.clock = clock;
    this.crashing = crashing;
  }

  static async open(engine: Engine): Promise<PrivacyUnderTest> {
    const clock = new FakeClock();
    const crashing = new CrashingDatabase();
    const parts = await startParts(identityModule, engine, { clock, wrap: crashing.wrap });
    return new PrivacyUnderTest(parts, clock, crashing);
  }

  async organization(): Promise<OrganizationId> {
    const id = randomIds.next<OrganizationId>(0);
    const createTimeMs = this.clock.nowMs();
    const organization = createdOrganization({ id, name: "Acme", timeZone: "UTC", createTimeMs });
    await this.database.transaction((trx) => insertOrganization(trx, organization));
    return id;
  }

  async person(name: string): Promise<UserId> {
    const id = randomIds.next<UserId>(0);
    const email = `${id}@example.com`;
    const nowMs = this.clock.nowMs();
    await this.database.transaction((trx) =>
      insertUser(trx, {
        id,
        email,
        emailKey: email,
        isEmailVerified: true,
        name,
        locale: undefined,
        passwordHash: "$argon2id$none",
        isPasswordResetRequired: false,
        securityVersion: 1,
        lastOrganizationId: undefined,
        createTimeMs: nowMs,
        updateTimeMs: nowMs,
      }),
    );
    return id;
  }

  async join(userId: UserId, organizationId: OrganizationId, role: Role, name: string): Promise<Member> {
    const nowMs = this.clock.nowMs();
    const times = { createTimeMs: nowMs, updateTimeMs: nowMs, lastLoginTimeMs: undefined };
    const membership = { organizationId, userId, name, role, loginCount: 0, version: 1, ...times };
    await this.database.transaction((trx) => insertMembership(trx, { ...membership, status: "active" }));
    const sessionId = randomIds.next<SessionId>(0);
    const authenticatedMs = nowMs;
    return { userId, as: { user: { id: userId, sessionId, organizationId, role, authenticatedMs } } };
  }

  async member(organizationId: OrganizationId, role: Role = "member", name = "Ada"): Promise<Member> {
    return this.join(await this.person(name), organizationId, role, name);
  }

  /** A session for each client. */
  async addSessions(
    userId: UserId,
    organizationId: OrganizationId,
    clients: readonly string[],
  ): Promise<void> {
    const nowMs = this.clock.nowMs();
    const session = {
      userId,
      organizationId,
      createTimeMs: nowMs,
      lastUsedTimeMs: nowMs,
      authenticatedTimeMs: nowMs,
      authenticationMethods: ["password"],
      expireTimeMs: nowMs + 1_000,
      endTimeMs: undefined,
      clientAddress: "192.0.2.7",
    } as const;
    await this.database.transaction(async (trx) => {
      for (const client of clients) {
        await insertSession(trx, { ...session, id: randomIds.next<SessionId>(nowMs), client });
      }
    });
  }

  /** The token of a new export. */
  async exported(userId: UserId, as: CallAs): Promise<string> {
    const { operation } = await this.call(exportUser, { userId }, as);
    return this.tokenOf(operation?.id ?? "", as);
  }

  async tokenOf(operationId: string, as: CallAs): Promise<string> {
    const done = await waitFor(async () => {
      const { operation } = await this.call(getOperation, { operationId }, as);
      return operation?.state === OperationState.SUCCEEDED && operation;
    }, WAIT);
    return (JSON.parse(done.result ?? "{}") as { token: string }).token;
  }

  async download(
    token: string,
    as: CallAs,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Downloaded> {
    const options = {
      headers: this.headersOf({ ...as, headers }),
      signal: new AbortController().signal,
    };
    const request = create(DownloadExportRequestSchema, { token });
    const response = this.dispatcher.stream(downloadExport, once(request), options);
    const parts: Uint8Array[] = [];
    for await (const message of response.messages) {
      parts.push((message as unknown as { readonly data: Uint8Array }).data);
    }
    return { body: Buffer.concat(parts), headers: response.headers };
  }
}

async function* once<T>(value: T): AsyncIterable<T> {
  yield value;
}
