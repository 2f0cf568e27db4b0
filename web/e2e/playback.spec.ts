import { stat } from "node:fs/promises";
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

interface Timeline {
  recordings: { start: string; end: string }[];
}
interface Cameras {
  items: { id: string; recording: boolean }[];
}

let browser: Browser;
let page: Page;
let cameras: string[];
let range: { start: number; end: number };

const CANVAS = "canvas.playback-picture";
const micros = (text: string) => Date.parse(text) * 1000;

beforeAll(async () => {
  browser = await launch();
  ({ page } = await newPage(browser));
  await signIn(page, "/playback");
  cameras = (await api<Cameras>(page, "/cameras")).items
    .filter((camera) => camera.recording)
    .slice(0, 4)
    .map((camera) => camera.id);
  expect(cameras.length).toBeGreaterThan(0);
  // Wait until every camera has some seconds on disk.
  await eventually("recordings", async () => {
    const end = Date.now();
    const query = `start=${new Date(end - 600_000).toISOString()}&end=${new Date(end).toISOString()}`;
    const all = await Promise.all(
      cameras.map((camera) => api<Timeline>(page, `/cameras/${camera}/timeline?${query}`)),
    );
    const last = all.map((timeline) => timeline.recordings.at(-1));
    if (last.some((item) => !item)) return false;
    range = {
      start: Math.max(...last.map((item) => micros(item?.start ?? ""))),
      end: Math.min(...last.map((item) => micros(item?.end ?? ""))),
    };
    return range.end - range.start > 8_000_000;
  });
});
afterAll(async () => {
  await browser?.close();
  expect(pageErrors).toEqual([]);
});

/** The times of the pictures on screen, one a camera; `null` where there is none. */
const shown = () =>
  page.evaluate(
    (query) =>
      [...document.querySelectorAll<HTMLCanvasElement>(query)].map((canvas) =>
        canvas.dataset.at ? Number(canvas.dataset.at) : null,
      ),
    CANVAS,
  );

async function open(at: number): Promise<void> {
  const time = `${new Date(at / 1000).toISOString().slice(0, 23)}000Z`;
  await page.goto(`${server.url}/playback?cameras=${cameras.join(",")}&t=${time}`);
}

/** Waits until every camera shows its picture of about `at`: before that, there may be no tiles at all. */
async function pictures(at: number): Promise<void> {
  await eventually("a picture of each camera", async () => {
    const times = await shown();
    return (
      times.length === cameras.length && times.every((time) => time !== null && Math.abs(time - at) < FRAMES)
    );
  });
}

/** Within this of the asked instant lies the frame on screen, and cameras lie within it of each other. */
const FRAMES: number = 400_000;

describe("playback", () => {
  it("shows the pictures of a sought instant, in step", async () => {
    for (const part of [0.2, 0.7, 0.4]) {
      const at = range.start + (range.end - range.start) * part;
      await open(at);
      await pictures(at);
      expect(colours(await fingerprint(page, CANVAS))).toBeGreaterThan(8);
    }
  });

  it("shows recordings on the timeline", async () => {
    await page.locator("canvas[role=slider][data-recorded]").waitFor();
    const label = await page.locator("canvas[role=slider]").getAttribute("aria-label");
    expect(label).toBe("Timeline");
  });

  it("plays on and stays in step", async () => {
    const at = range.start + 500_000;
    await open(at);
    await pictures(at);
    await page.locator("h1").first().click();
    await page.keyboard.press("k");
    let furthest = 0;
    await eventually("two seconds played", async () => {
      const times = (await shown()).filter((time) => time !== null);
      if (times.length === cameras.length && times.length > 0) {
        furthest = Math.max(furthest, Math.max(...times) - Math.min(...times));
        return Math.min(...times) > at + 2_000_000;
      }
      return false;
    });
    expect(furthest).toBeLessThan(FRAMES);
    await page.keyboard.press("k");
  });

  it("plays backwards", async () => {
    const at = range.start + (range.end - range.start) * 0.8;
    await open(at);
    await pictures(at);
    await page.locator("h1").first().click();
    await page.keyboard.press("j");
    await eventually("two seconds back", async () =>
      (await shown()).every((time) => time !== null && time < at - 2_000_000),
    );
    await page.keyboard.press("k");
  });

  it("steps single frames there and back", async () => {
    const at = range.start + (range.end - range.start) * 0.5;
    await open(at);
    await pictures(at);
    await page.locator("h1").first().click();
    const [start] = await shown();
    // The pictures that this camera comes to show, in order.
    await page.evaluate((query) => {
      const canvas = document.querySelector<HTMLCanvasElement>(query);
      const seen: (string | undefined)[] = [];
      Object.assign(window, { seen });
      new MutationObserver(() => {
        if (canvas?.dataset.at !== seen.at(-1)) seen.push(canvas?.dataset.at);
      }).observe(canvas!, { attributeFilter: ["data-at"] });
    }, CANVAS);
    const seen = async () =>
      (await page.evaluate(() => (window as unknown as { seen: string[] }).seen)).map(Number);

    // Faster than pictures load: each press is one frame all the same.
    for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft", "ArrowLeft"])
      await page.keyboard.press(key);
    await eventually("six steps", async () => (await seen()).length >= 6);
    const [one = 0, two = 0, three = 0, ...back] = await seen();
    expect(back).toEqual([two, one, start]);
    expect(one).toBeGreaterThan(start ?? 0);
    expect(two).toBeGreaterThan(one);
    expect(three).toBeGreaterThan(two);
    expect(three - (start ?? 0)).toBeLessThan(FRAMES);
    await pictures(start ?? 0);

    // Backwards from the first picture after a seek, which lies a little before the sought instant.
    await page.keyboard.press("ArrowLeft");
    await eventually("the frame before", async () => (await seen()).length === 7);
    expect((await seen())[6]).toBeLessThan(start ?? 0);
  });
});

describe("opening", () => {
  it("begins inside the newest recording", async () => {
    await page.goto(`${server.url}/playback?cameras=${cameras.join(",")}`);
    await eventually("a picture of each camera", async () => {
      const times = await shown();
      return times.length === cameras.length && times.every((time) => time !== null && time > range.start);
    });
  });
});

describe("export", () => {
  it("makes a file and downloads it", async () => {
    const at = range.start + 3_000_000;
    await open(at);
    await pictures(at);
    await page.locator("canvas[role=slider][data-recorded]").waitFor();
    await page.locator("h1").first().click();
    await page.keyboard.press("i");
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("o");
    await page.keyboard.press("e");
    await page.getByRole("dialog").getByRole("button", { name: "Export" }).click();
    await page.waitForURL("**/exports");
    const link = page.getByRole("link", { name: "Download" }).first();
    await eventually("an export that is done", async () => (await link.count()) > 0);
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    const path = await download.path();
    expect((await stat(path)).size).toBeGreaterThan(10_000);
    expect(download.suggestedFilename()).toMatch(/\.mp4$/);
  });
});
