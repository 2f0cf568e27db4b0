import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  api,
  colours,
  eventually,
  fingerprint,
  launch,
  newPage,
  pageErrors,
  server,
  signIn,
} from "./browser";

interface Cameras {
  items: { id: string; name: string; state: string; url?: string }[];
}

let browser: Browser;
let page: Page;
beforeAll(async () => {
  browser = await launch();
  ({ page } = await newPage(browser));
});
afterAll(async () => {
  await browser?.close();
  expect(pageErrors).toEqual([]);
});

describe("signing in", () => {
  it("refuses a wrong password in plain words", async () => {
    await page.goto(`${server.url}/live`);
    await page.fill("input[name=user]", server.user);
    await page.fill("input[name=password]", "wrong");
    await page.click("button[type=submit]");
    await page.getByText("User name or password is wrong.").waitFor();
  });

  it("opens the page that was asked for", async () => {
    await signIn(page, "/events?type=varde.camera.state");
    expect(page.url()).toContain("/events?type=varde.camera.state");
  });
});

describe("the live wall", () => {
  it("shows pictures that move", async () => {
    await page.goto(`${server.url}/live`);
    const video = "[data-tile][data-phase=playing] video";
    await eventually("a tile that plays", async () => (await page.locator(video).count()) > 0);
    await eventually("decoded frames", () =>
      page.evaluate((query) => {
        const element = document.querySelector<HTMLVideoElement>(query);
        return (element?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > 5;
      }, video),
    );
    const first = await fingerprint(page, video);
    expect(colours(first)).toBeGreaterThan(8);
    await eventually("a picture that changes", async () => (await fingerprint(page, video)) !== first);
  });

  it("plays over the WebSocket where WebRTC is missing", async () => {
    const { page: other, context } = await newPage(browser);
    await context.addInitScript(() => {
      Object.defineProperty(window, "RTCRtpReceiver", { value: undefined });
      Object.defineProperty(window, "RTCPeerConnection", { value: undefined });
    });
    await signIn(other);
    await eventually("a tile that plays", async () => {
      return (await other.locator("[data-tile][data-phase=playing][data-transport=mse]").count()) > 0;
    });
    await context.close();
  });

  it("enlarges a tile by its digit and shows all again", async () => {
    const { items } = await api<Cameras>(page, "/cameras");
    if (items.length < 2) return;
    await page.keyboard.press("1");
    await eventually("the big tile in the address", async () => page.url().includes("big="));
    await page.keyboard.press("0");
    await eventually("the whole wall", async () => !page.url().includes("big="));
  });

  it("shows its keys and finds commands", async () => {
    await page.locator("h1").first().click();
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("/");
    await page.getByRole("combobox").fill("playback");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/playback**");
  });
});

describe("adding a camera", () => {
  it("previews the picture before it is saved", async () => {
    await page.goto(`${server.url}/administration/cameras?camera=new`);
    const { items } = await api<Cameras>(page, "/cameras");
    const known = items.find((camera) => camera.state === "online" && camera.url)?.url;
    const address = process.env.VARDE_CAMERA_URL ?? known;
    if (!address) return expect.fail("no camera address to preview");
    await page.locator("aside input[data-first]").fill(address);
    await page.locator("[data-preview-button]").click();
    if (!process.env.VARDE_CAMERA_URL) {
      // The stored address carries no password, so the camera must say so, in words.
      await page.locator("[data-preview]").getByText("The camera refuses the password").waitFor();
      return;
    }
    const video = "[data-preview][data-phase=playing] video";
    await eventually("a preview that plays", async () => (await page.locator(video).count()) > 0);
    expect(colours(await fingerprint(page, video))).toBeGreaterThan(8);
    const after = await api<Cameras>(page, "/cameras");
    expect(after.items.length).toBe(items.length);
  });
});

describe("German", () => {
  it("is the language of a German browser, and of the person who chose it", async () => {
    const { page: german, context } = await newPage(browser, "de-DE");
    await german.goto(server.url);
    await german.getByText("Anmelden").first().waitFor();
    await signIn(german, "/administration/storage");
    await german.getByText("Speicher").first().waitFor();
    expect(await german.evaluate(() => document.documentElement.lang)).toBe("de");
    await context.close();
  });
});
