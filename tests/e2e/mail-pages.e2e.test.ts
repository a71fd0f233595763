// Opens the pages behind mail links in a browser, with and without scripts.
import { mkdir } from "node:fs/promises";
import { create } from "@bufbuild/protobuf";
import { AccountService } from "@muster/contracts/muster/identity/v1/account_service_pb";
import { MagicLinkService } from "@muster/contracts/muster/identity/v1/magic_link_service_pb";
import { PrivacyService } from "@muster/contracts/muster/identity/v1/privacy_service_pb";
import { TwoFactorService } from "@muster/contracts/muster/identity/v1/two_factor_service_pb";
import { AppError } from "@muster/errors";
import { startBrowser } from "@muster/testkit/browser";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { startTestGateway, type TestGateway } from "../../services/gateway/src/test-gateway.ts";

/** Set to a folder, the tests write a picture of each page. */
const PICTURES = process.env.MUSTER_TEST_PICTURES;
const TOKEN = "the.token+with/signs=";

let browser: Browser;
let context: BrowserContext;
let muster: TestGateway;
let problems: string[];

beforeAll(async () => {
  browser = await startBrowser();
}, 300_000);
afterAll(() => browser?.close());
beforeEach(async () => {
  problems = [];
  const services = [AccountService, MagicLinkService, PrivacyService, TwoFactorService];
  muster = await startTestGateway({ services });
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
});
afterEach(async () => {
  await context?.close();
  await muster.gateway.stop(500);
});

async function open(name: string, { fragment = `#token=${encodeURIComponent(TOKEN)}`, scripts = true } = {}) {
  context = await browser.newContext({ javaScriptEnabled: scripts, viewport: { width: 800, height: 600 } });
  const page = await context.newPage();
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("status of")) problems.push(message.text());
  });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(`http://127.0.0.1:${muster.port}/`)) problems.push(request.url());
    if (request.url().includes("token")) problems.push(request.url());
    const { referer = "" } = request.headers();
    if (referer !== "") problems.push(`Referer ${referer}`);
  });
  await page.goto(`http://127.0.0.1:${muster.port}/m/${name}${fragment}`);
  return page;
}

async function picture(page: Page, name: string): Promise<void> {
  if (PICTURES === undefined) return;
  await mkdir(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/${name}.png` });
}

function lastToken(): unknown {
  return (muster.caller.last.request as unknown as { readonly token: string }).token;
}

test("the link fills the form, leaves the address bar, and only the button acts", async () => {
  const page = await open("verify-email");
  await picture(page, "verify-email");
  expect(await page.title()).toBe("Confirm your email address");
  expect(page.url()).toBe(`http://127.0.0.1:${muster.port}/m/verify-email`);
  expect(await page.locator("#token").isVisible()).toBe(false);
  expect(await page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe("rgb(243, 245, 248)");
  expect(muster.caller.calls).toEqual([]);
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  await picture(page, "verify-email-done");
  expect(await page.getByRole("status").textContent()).toBe(
    "Your address is confirmed. You can sign in now.",
  );
  expect([muster.caller.calls.length, lastToken()]).toEqual([1, TOKEN]);
  expect(await context.cookies()).toEqual([]);
  expect(problems).toEqual([]);
});

test("a second link in the same tab replaces the token of the first", async () => {
  const page = await open("verify-email");
  await page.evaluate('location.hash = "#token=second"');
  await page.waitForFunction('document.getElementById("token").value === "second"');
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  expect(lastToken()).toBe("second");
});

test("a new password is set; after a refusal the form keeps the token, not the password", async () => {
  const page = await open("reset-password");
  await page.getByLabel("New password").fill("too short");
  await page.getByRole("button").click();
  expect(muster.caller.calls).toEqual([]);
  muster.caller.response = async () => {
    throw new AppError("FIELD_INVALID", { message: "password: is too common" });
  };
  await page.getByLabel("New password").fill("password password");
  await page.getByRole("button").click();
  await page.getByRole("alert").waitFor();
  await picture(page, "reset-password-refused");
  expect(await page.getByRole("alert").textContent()).toBe("password: is too common");
  expect(await page.getByLabel("New password").inputValue()).toBe("");
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
  await page.getByLabel("New password").fill("correct horse battery staple");
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  expect(muster.caller.last.request).toMatchObject({
    token: TOKEN,
    password: "correct horse battery staple",
  });
  expect(problems).toEqual([]);
});

test("the invited person creates an account, and a refusal keeps what was typed but the password", async () => {
  const page = await open("invitation");
  await picture(page, "invitation");
  expect(await page.title()).toBe("Join an organization");
  await page.getByLabel("Email").fill("ada@example.com");
  await page.getByLabel("Name").fill("Ada <Lovelace>");
  await page.getByLabel("Password").fill("password password");
  muster.caller.response = async () => {
    throw new AppError("FIELD_INVALID", { message: "password: is too common" });
  };
  await page.getByRole("button").click();
  await page.getByRole("alert").waitFor();
  await picture(page, "invitation-refused");
  expect(await page.getByLabel("Name").inputValue()).toBe("Ada <Lovelace>");
  expect(await page.getByLabel("Password").inputValue()).toBe("");
  muster.caller.response = async (method) => ({ message: create(method.output), headers: new Map() });
  await page.getByLabel("Password").fill("correct horse battery staple");
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  expect(muster.caller.last.request).toMatchObject({
    email: "ada@example.com",
    name: "Ada <Lovelace>",
    password: "correct horse battery staple",
    invitationToken: TOKEN,
  });
  expect(problems).toEqual([]);
});

test("the deletion of an account starts by the button, not by the link", async () => {
  const page = await open("delete-account");
  await picture(page, "delete-account");
  expect(muster.caller.calls).toEqual([]);
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  await picture(page, "delete-account-done");
  expect([muster.caller.calls.length, lastToken()]).toEqual([1, TOKEN]);
  expect(problems).toEqual([]);
});

test("without scripts, the whole link is pasted into the field", async () => {
  const page = await open("recover-cancel", { scripts: false });
  await picture(page, "recover-cancel-without-scripts");
  expect(await page.getByLabel("The link of the mail").isVisible()).toBe(true);
  const link = `https://muster.test/m/recover-cancel#token=${encodeURIComponent(TOKEN)}`;
  await page.getByLabel("The link of the mail").fill(link);
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  expect(lastToken()).toBe(TOKEN);
});

test("a magic link with a second factor asks for the code, and then shows the tokens", async () => {
  const page = await open("magic-link");
  muster.caller.response = async () => {
    throw new AppError("TWO_FACTOR_REQUIRED", { details: { challenge: "the-challenge" } });
  };
  await page.getByRole("button").click();
  await page.getByLabel("Code").waitFor();
  await picture(page, "two-factor");
  const tokens = { accessToken: "an-access-token", refreshToken: "a-refresh-token", tokenType: "Bearer" };
  muster.caller.response = async (method) => ({
    message: create(method.output, { tokens } as never),
    headers: new Map(),
  });
  await page.getByLabel("Code").fill("123456");
  await page.getByRole("button").click();
  await page.getByRole("status").waitFor();
  await picture(page, "signed-in");
  expect(await page.getByLabel("Access token").inputValue()).toBe("an-access-token");
  expect(await page.getByLabel("Refresh token").inputValue()).toBe("a-refresh-token");
  expect(muster.caller.last.request).toMatchObject({ challenge: "the-challenge", code: "123456" });
  expect(problems).toEqual([]);
});

test("a broken fragment leaves the field to the reader", async () => {
  const page = await open("verify-email", { fragment: "#token=%ff" });
  expect(await page.locator("#token").isVisible()).toBe(true);
  expect(await page.locator("#token").inputValue()).toBe("");
});

test("another site can neither embed a page nor send its form", async () => {
  const page = await open("verify-email", { fragment: "" });
  const target = `http://127.0.0.1:${muster.port}/m/verify-email`;
  // The same server by another name is another site.
  await page.goto(`http://localhost:${muster.port}/version`);
  const refusal = page.waitForEvent("console", (message) => message.text().includes("frame-ancestors"));
  await page.setContent(`<iframe src="${target}"></iframe>
    <form method="post" action="${target}"><input name="token" value="stolen"><button>Go</button></form>`);
  await refusal;
  await page.getByRole("button").click();
  await page.waitForURL(target);
  expect(await page.textContent("body")).toContain("permission_denied");
  expect(muster.caller.calls).toEqual([]);
});
