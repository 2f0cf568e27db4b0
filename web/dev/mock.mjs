// FOR DEVELOPMENT ONLY: pretends to be a Varde server so that the client can be worked on without one.
// It serves `dist/` and an API with test pictures made by ffmpeg. User `admin`, any password but `wrong`.
//
//   npm run build && npm run mock [-- --empty] [-- --setup]
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocketServer } from "ws";

const PORT = Number(process.env.PORT ?? 8099);
const EMPTY = process.argv.includes("--empty");
let setupNeeded = process.argv.includes("--setup");
const DIST = join(dirname(fileURLToPath(import.meta.url)), "..", "dist");
const CACHE = join(tmpdir(), "varde-mock");
const GOP_S = 1;
const LOOP_S = 60;
mkdirSync(CACHE, { recursive: true });

const id = (number) => `018f0000-0000-7000-8000-${String(number).padStart(12, "0")}`;
const iso = (ms) => `${new Date(ms).toISOString().slice(0, 23)}000Z`;
const NAMES = ["Main gate", "Loading bay", "Car park north", "Reception", "Warehouse aisle 4", "Roof"];
const SOURCES = ["testsrc2", "smptehdbars", "mandelbrot", "testsrc2", "testsrc", "rgbtestsrc"];

/** One minute of footage as fragments: `{init, gops: [{offset, bytes}]}`. */
function footage(index) {
  const path = join(CACHE, `camera-${index}.mp4`);
  if (!existsSync(path)) {
    const drawn = `${SOURCES[index]}=size=640x360:rate=25,hue=h=${index * 47},drawtext=text='${NAMES[index]} %{n}':x=20:y=20:fontsize=28:fontcolor=white:box=1:boxcolor=black`;
    execFileSync("ffmpeg", [
      ...[
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        drawn,
        "-t",
        String(LOOP_S),
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
      ],
      ...["-pix_fmt", "yuv420p", "-bf", "0", "-g", String(25 * GOP_S), "-sc_threshold", "0", "-b:v", "600k"],
      ...["-movflags", "frag_keyframe+empty_moov+default_base_moof", path],
    ]);
  }
  const bytes = readFileSync(path);
  const boxes = [];
  for (let at = 0; at + 8 <= bytes.length; ) {
    const size = bytes.readUInt32BE(at);
    boxes.push({ type: bytes.toString("latin1", at + 4, at + 8), at, size });
    at += size;
  }
  const init = boxes.find((box) => box.type === "moof").at;
  const gops = boxes
    .filter((box) => box.type === "moof")
    .map((box) => ({
      offset: box.at,
      bytes: box.size + boxes.find((other) => other.at === box.at + box.size).size,
    }));
  return { path, bytes, init, gops, timescale: 12800 };
}

console.log("making test footage …");
const cameras = EMPTY
  ? []
  : NAMES.map((name, index) => ({
      id: id(index + 1),
      name,
      state: index === 5 ? "wrong_password" : "online",
      state_since: iso(Date.now() - 720_000),
      parameters: {},
      enabled: true,
      record: true,
      recording: index !== 5,
      url: `rtsp://192.0.2.${10 + index}/main`,
      user: "viewer",
      has_password: true,
      transport: "tcp",
      retention_days: null,
      storage: id(900),
      hardware: id(100 + index),
      streams: [
        {
          id: id(200 + index),
          roles: ["live", "record"],
          codec: "h264",
          codec_string: "avc1.64001e",
          width: 640,
          height: 360,
          frames_per_second: 25,
          bitrate_bps: 600_000,
          packets_lost: index,
          clock_drift_ppm: 0,
          viewers: 1,
        },
      ],
      version: 1,
    }));
const media = NAMES.map((_, index) => footage(index));
const mediaOf = (camera) =>
  media[
    Math.max(
      0,
      cameras.findIndex((item) => item.id === camera),
    ) % media.length
  ];

const START = Math.floor((Date.now() - 7 * 3600_000) / 60_000) * 60_000;
const GAPS = [
  [START + 3600_000, START + 4500_000, "unreachable"],
  [START + 3 * 3600_000, START + 3 * 3600_000 + 120_000, "disk_slow"],
];
const recordedMinute = (at) => at >= START && at < Date.now() && !GAPS.some(([a, b]) => at >= a && at < b);

function timeline(start, end) {
  const last = Math.min(end, Date.now() - 1000);
  const recordings = [];
  let from = Math.max(start, START);
  for (const [a, b] of GAPS) {
    if (from < a) recordings.push([from, Math.min(a, last)]);
    from = Math.max(from, b);
  }
  recordings.push([from, last]);
  return {
    recordings: recordings
      .filter(([a, b]) => b > a)
      .map(([a, b]) => ({ start: iso(a), end: iso(b), stream: id(200), codec: "h264", epoch: 1 })),
    gaps: GAPS.filter(([a, b]) => b > start && a < end).map(([a, b, cause]) => ({
      start: iso(a),
      end: iso(b),
      cause,
      parameters: {},
    })),
  };
}

function plan(camera, start, end) {
  const { init, gops, timescale } = mediaOf(camera);
  const files = [];
  for (let minute = Math.floor(start / 60_000) * 60_000; minute < end; minute += 60_000) {
    if (!recordedMinute(minute)) continue;
    const fragments = gops
      .map((gop, index) => [gop.offset, gop.bytes, index * GOP_S * timescale, GOP_S * timescale, 1])
      .filter(([, , ticks]) => minute + (ticks / timescale) * 1000 + 2000 < Date.now());
    if (fragments.length === 0) continue;
    files.push({
      url: `/api/v1/cameras/${camera}/files/${id(900)}/${minute}.mp4`,
      codec: "h264",
      codec_string: "avc1.64001e",
      width: 640,
      height: 360,
      timescale,
      start: iso(minute),
      epoch: 1,
      init_bytes: init,
      fragments,
    });
  }
  return { tracks: [{ kind: "video", stream: id(200), codec: "h264", files }] };
}

const stills = new Map();
function still(camera, at) {
  const { path } = mediaOf(camera);
  const second = Math.floor((at / 1000) % LOOP_S);
  const key = `${path}${second}`;
  if (!stills.has(key)) {
    stills.set(
      key,
      execFileSync("ffmpeg", [
        ...["-v", "error", "-ss", String(second), "-i", path, "-frames:v", "1", "-vf", "scale=480:-2"],
        ...["-f", "mjpeg", "-"],
      ]),
    );
  }
  return stills.get(key);
}

const session = () => ({
  user: { id: id(800), name: "admin", role: "administrator" },
  csrf: "mock",
  expires_at: iso(Date.now() + 86_400_000),
});
const users = [
  { id: id(800), name: "admin", role: "administrator", cameras: "all", enabled: true, version: 1 },
  { id: id(801), name: "Guard desk", role: "operator", cameras: [id(1), id(2)], enabled: true, version: 1 },
];
const tokens = [];
const exportsList = [];
const storage = {
  id: id(900),
  name: "Recordings",
  path: "/srv/varde/recordings",
  state: "online",
  used_bytes: 1.42e12,
  free_bytes: 2.1e12,
  capacity_bytes: 4e12,
  free_min_bytes: 1e10,
  retention_days: 30,
  encrypted: false,
  oldest: iso(START),
  newest: iso(Date.now()),
  bytes_per_day: 2.6e11,
  days_kept: 5.4,
  days_left: 8.1,
  version: 1,
  cameras: cameras.map((camera, index) => ({
    camera: camera.id,
    name: camera.name,
    used_bytes: 3.1e11 - index * 4e10,
    bytes_per_day: 4.3e10,
    oldest: iso(START),
    newest: iso(Date.now()),
  })),
};
const events = Array.from({ length: 300 }, (_, index) => ({
  specversion: "1.0",
  id: id(5000 + index),
  type: ["varde.camera.state", "varde.recording.gap", "varde.sign_in", "varde.sign_in.refused"][index % 4],
  time: iso(Date.now() - index * 97_000),
  phase: index % 2 ? "end" : "begin",
  severity: ["warning", "error", "info", "warning"][index % 4],
  camera: index % 4 < 2 && !EMPTY ? id(1 + (index % 5)) : undefined,
  data: [{ state: "unreachable" }, { cause: "unreachable" }, { user: "admin" }, { user: "root" }][index % 4],
}));

const COOKIE = { "set-cookie": "mock=1; HttpOnly; SameSite=Strict; Path=/" };
const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".woff2": "font/woff2",
  ".webmanifest": "application/manifest+json",
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://mock");
  const json = (status, body, headers = {}) => {
    response.writeHead(status, {
      "content-type": status < 400 ? "application/json" : "application/problem+json",
      ...headers,
    });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  };
  const problem = (status, code, parameters = {}) => json(status, { title: code, status, code, parameters });
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const body = request.headers["content-type"]?.includes("json") && text ? JSON.parse(text) : {};
  if (!url.pathname.startsWith("/api/")) {
    let path = normalize(join(DIST, url.pathname));
    if (!path.startsWith(DIST) || !existsSync(path) || statSync(path).isDirectory())
      path = join(DIST, "index.html");
    response.writeHead(200, {
      "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      "content-security-policy":
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    });
    return response.end(readFileSync(path));
  }
  const path = url.pathname.slice("/api/v1".length);
  const parts = path.split("/").slice(1);
  const time = (name) => Date.parse(url.searchParams.get(name));
  const route = `${request.method} /${parts[0]}`;
  if (route === "GET /setup") return json(200, { needed: setupNeeded });
  if (route === "POST /setup") {
    if (body.code !== "1234") return problem(403, "wrong_setup_code");
    setupNeeded = false;
    return json(201, session(), COOKIE);
  }
  if (route === "POST /sessions") {
    if (body.password === "wrong") return problem(401, "wrong_credentials");
    if (body.password === "limited") return problem(429, "too_many_requests", { retry_after_seconds: 20 });
    return json(201, session(), COOKIE);
  }
  if (!request.headers.cookie?.includes("mock=1")) return problem(401, "not_signed_in");
  if (route === "GET /sessions") return json(200, session());
  if (route === "DELETE /sessions") {
    return json(204, undefined, { "set-cookie": "mock=; Path=/; Max-Age=0" });
  }
  if (parts[0] === "cameras" && parts.length === 1) {
    if (request.method === "GET") return json(200, { items: cameras, next: null });
    const camera = {
      ...cameras[0],
      ...body,
      id: id(50 + cameras.length),
      name: body.name ?? "192.0.2.9",
      version: 1,
    };
    cameras.push(camera);
    return json(201, camera);
  }
  if (parts[0] === "cameras") {
    const camera = parts[1];
    const index = cameras.findIndex((item) => item.id === camera);
    if (parts.length === 2) {
      if (request.method === "PATCH") {
        cameras[index] = { ...cameras[index], ...body, version: cameras[index].version + 1 };
        return json(200, cameras[index]);
      }
      if (request.method === "DELETE") {
        cameras.splice(index, 1);
        return json(204);
      }
      return json(200, cameras[index]);
    }
    if (parts[2] === "timeline") return json(200, timeline(time("start"), time("end")));
    if (parts[2] === "playback") return json(200, plan(camera, time("start"), time("end")));
    if (parts[2] === "frame.jpg") {
      response.writeHead(200, { "content-type": "image/jpeg" });
      return response.end(still(camera, url.searchParams.has("time") ? time("time") : Date.now()));
    }
    if (parts[2] === "files") {
      const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [0, 0, 0];
      const part = mediaOf(camera).bytes.subarray(Number(from), Number(to) + 1);
      response.writeHead(206, { "content-type": "video/mp4" });
      return response.end(part);
    }
    return problem(501, "codec_not_supported");
  }
  if (parts[0] === "previews") {
    if (request.method === "POST") return json(201, { id: id(1), expires_at: iso(Date.now() + 120_000) });
    if (request.method === "DELETE") return json(204);
    return json(200, { id: id(1), state: "online", parameters: {}, streams: [] });
  }
  if (route === "GET /storages") return json(200, { items: EMPTY ? [] : [storage], next: null });
  if (route === "PATCH /storages") {
    Object.assign(storage, body, { version: storage.version + 1 });
    return json(200, storage);
  }
  if (route === "GET /users") return json(200, { items: users, next: null });
  if (route === "POST /users") {
    users.push({ ...body, password: undefined, id: id(810 + users.length), version: 1 });
    return json(201, users.at(-1));
  }
  if (route === "GET /tokens") return json(200, { items: tokens, next: null });
  if (route === "POST /tokens") {
    tokens.push({
      id: id(950 + tokens.length),
      name: body.name,
      created_at: iso(Date.now()),
      expires_at: iso(Date.now() + 2.6e9),
      used_at: null,
    });
    return json(201, {
      id: tokens.at(-1).id,
      token: "vrd_mock_0123456789abcdef",
      expires_at: tokens.at(-1).expires_at,
    });
  }
  if (route === "GET /events") {
    const type = url.searchParams.get("type");
    const camera = url.searchParams.get("camera");
    return json(200, {
      items: EMPTY
        ? []
        : events.filter((event) => (!type || event.type === type) && (!camera || event.camera === camera)),
      next: null,
    });
  }
  if (route === "GET /system") {
    return json(200, {
      version: "0.1.0",
      server_name: "varde-mock",
      uptime_seconds: 93_000,
      started: iso(Date.now() - 93_000_000),
      recorder: { connected: true, started: iso(Date.now() - 93_000_000) },
      limits: { transcode_streams_max: 2 },
    });
  }
  if (parts[0] === "exports") {
    if (request.method === "POST") {
      exportsList.push({
        ...body,
        id: id(700 + exportsList.length),
        state: "running",
        progress: 0,
        bytes: 0,
        file_name: "export.mp4",
        created_at: iso(Date.now()),
      });
      return json(201, exportsList.at(-1));
    }
    if (parts[2] === "file") {
      response.writeHead(200, {
        "content-type": "video/mp4",
        "content-disposition": 'attachment; filename="export.mp4"',
      });
      return response.end(media[0].bytes);
    }
    if (request.method === "DELETE") {
      exportsList.splice(
        exportsList.findIndex((item) => item.id === parts[1]),
        1,
      );
      return json(204);
    }
    for (const item of exportsList) {
      item.progress = Math.min(1, item.progress + 0.3);
      if (item.progress === 1) Object.assign(item, { state: "done", bytes: media[0].bytes.length });
    }
    return json(200, { items: exportsList, next: null });
  }
  return problem(404, "not_found");
});

const sockets = new WebSocketServer({ server });
sockets.on("connection", (socket, request) => {
  const [, camera] = /cameras\/([^/]+)\/live/.exec(request.url) ?? [];
  if (!camera) return;
  const known = cameras.find((item) => item.id === camera);
  if (known && known.state !== "online") {
    socket.send(
      JSON.stringify({ type: "state", state: known.state, parameters: {}, since: known.state_since }),
    );
    return;
  }
  const { bytes, init, gops } = mediaOf(camera);
  const message = (part) => {
    const header = Buffer.alloc(9);
    header.writeBigUInt64BE(BigInt(Date.now()) * 1000n, 1);
    socket.send(Buffer.concat([header, part]));
  };
  socket.send(
    JSON.stringify({
      type: "format",
      tracks: [
        {
          kind: "video",
          mime: 'video/mp4; codecs="avc1.64001e"',
          codec: "h264",
          transcoded: camera === id(3),
        },
      ],
    }),
  );
  message(bytes.subarray(0, init));
  let index = Math.floor((Date.now() / 1000) % LOOP_S);
  const next = () => {
    const gop = gops[index % gops.length];
    message(bytes.subarray(gop.offset, gop.offset + gop.bytes));
    index += 1;
  };
  next();
  const timer = setInterval(next, GOP_S * 1000);
  socket.on("close", () => clearInterval(timer));
});
server.listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${PORT}  admin / anything`));
