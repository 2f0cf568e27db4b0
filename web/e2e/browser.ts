/** What the specifications share: the browser, a signed-in page, and reading pictures. */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

function needed(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set: end-to-end tests run against a server`);
  return value.replace(/\/$/, "");
}

export const server = {
  get url() {
    return needed("VARDE_URL");
  },
  get user() {
    return needed("VARDE_USER");
  },
  get password() {
    return needed("VARDE_PASSWORD");
  },
};

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.VARDE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"],
  });
}

/** Errors of the page that no test expects; checked at the end of each file. */
export const pageErrors: string[] = [];

export async function newPage(
  browser: Browser,
  locale = "en-GB",
): Promise<{ page: Page; context: BrowserContext }> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale,
    timezoneId: "Europe/Berlin",
    ignoreHTTPSErrors: true,
    acceptDownloads: true,
  });
  context.setDefaultTimeout(60_000);
  const page = await context.newPage();
  page.on("pageerror", (error) => pageErrors.push(error.message));
  page.on("console", (message) => {
    if (message.text().includes("Content Security Policy")) pageErrors.push(message.text());
  });
  return { page, context };
}

export async function signIn(page: Page, path = "/live"): Promise<void> {
  await page.goto(server.url + path);
  await page.fill("input[name=user]", server.user);
  await page.fill("input[name=password]", server.password);
  await page.click("button[type=submit]");
  await page.locator("nav").first().waitFor();
}

/** A coarse fingerprint of what an element shows. */
export async function fingerprint(page: Page, selector: string): Promise<string> {
  return page.evaluate((query) => {
    const source = document.querySelector<HTMLVideoElement | HTMLCanvasElement>(query);
    if (!source) return "";
    const canvas = document.createElement("canvas");
    canvas.width = 48;
    canvas.height = 27;
    const context = canvas.getContext("2d");
    if (!context) return "";
    context.drawImage(source, 0, 0, 48, 27);
    return Array.from(context.getImageData(0, 0, 48, 27).data).join();
  }, selector);
}

/** How many different colours a fingerprint holds: a real picture has many, a black one has one. */
export function colours(print: string): number {
  const values = print.split(",");
  const seen = new Set<string>();
  for (let at = 0; at + 2 < values.length; at += 4)
    seen.add(`${values[at]},${values[at + 1]},${values[at + 2]}`);
  return seen.size;
}

/** Polls until `probe` is true; fails with `what` after a generous time. */
export async function eventually(
  what: string,
  probe: () => Promise<boolean>,
  withinMs = 60_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  while (Date.now() < end) {
    if (await probe()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  expect.fail(`${what}: not within ${withinMs / 1000} s`);
}

/** The API as the signed-in page sees it. */
export async function api<T>(page: Page, path: string): Promise<T> {
  return page.evaluate(async (address) => (await fetch(`/api/v1${address}`)).json(), path);
}
