/** What this browser can decode, asked once. */

/** A representative string for each codec family that a camera may send. */
const MSE_CODECS: Record<string, string> = {
  avc1: 'video/mp4; codecs="avc1.64002a"',
  hvc1: 'video/mp4; codecs="hvc1.1.6.L120.90"',
  av01: 'video/mp4; codecs="av01.0.08M.08"',
  mp4a: 'audio/mp4; codecs="mp4a.40.2"',
  opus: 'audio/mp4; codecs="opus"',
  flac: 'audio/mp4; codecs="flac"',
};

export interface MediaSourceLike {
  isTypeSupported(type: string): boolean;
}

/** The codec families to name in `accept=` of the live WebSocket. */
export function acceptedCodecs(source: MediaSourceLike | undefined): string[] {
  if (!source) return [];
  return Object.entries(MSE_CODECS)
    .filter(([, type]) => source.isTypeSupported(type))
    .map(([name]) => name);
}

/** Safari on phones has only the managed kind. */
export function mediaSourceClass(): typeof MediaSource | undefined {
  const scope = globalThis as { ManagedMediaSource?: typeof MediaSource; MediaSource?: typeof MediaSource };
  return scope.MediaSource ?? scope.ManagedMediaSource;
}

/** Whether WebRTC can receive a codec, such as `video/H264`. */
export function rtcReceives(mime: string): boolean {
  if (typeof RTCRtpReceiver === "undefined") return false;
  const kind = mime.startsWith("audio/") ? "audio" : "video";
  const codecs = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  return codecs.some((codec) => codec.mimeType.toLowerCase() === mime.toLowerCase());
}
