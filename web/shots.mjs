import { chromium } from "playwright-core";

const b = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage"],
});
const c = await b.newContext({
  viewport: { width: 1440, height: 900 },
  locale: "en-GB",
  timezoneId: "Europe/Copenhagen",
  colorScheme: "dark",
});
const p = await c.newPage();
const U = "http://127.0.0.1:18777";
await p.goto(U + "/live");
await p.fill("input[name=user]", "admin");
await p.fill("input[name=password]", "a long password here");
await p.click("button[type=submit]");
const names = async () => { for (const [x,y] of [[1050,640],[400,640],[1050,250],[400,250]]) { await p.mouse.move(x,y); await p.mouse.move(x+4,y+4); await p.waitForTimeout(60);} await p.waitForTimeout(500); };
const only = process.argv[2];
const out = "/work/tmp/shots/";
if (!only || only.includes("live")) {
  for (let i = 0; i < 100; i++) {
    if ((await p.locator("[data-tile][data-phase=playing] video").count()) >= 4) break;
    await p.waitForTimeout(300);
  }
  await p.waitForTimeout(1500);
  await p.mouse.move(700, 450);
  await p.mouse.move(720, 460);
  await p.waitForTimeout(600);
  await p.screenshot({ path: out + "live.png" });
}
if (!only || only.includes("playback")) {
  await p.goto(U + "/playback");
  await p.waitForTimeout(6000);
  await p.mouse.move(700, 350);
  await p.waitForTimeout(600);
  await p.screenshot({ path: out + "playback.png" });
}
if (!only || only.includes("admin")) {
  await p.goto(U + "/administration/cameras");
  await p.waitForTimeout(2500);
  await p.screenshot({ path: out + "cameras.png" });
  await p
    .locator("tbody tr")
    .first()
    .click()
    .catch(() => 0);
  await p.waitForTimeout(1500);
  await p.screenshot({ path: out + "cameras-open.png" });
  await p.goto(U + "/administration/storage");
  await p.waitForTimeout(2500);
  await p.screenshot({ path: out + "storage.png" });
}
await b.close();
