/** Who uses how much of a storage. */
import type { Camera, StorageCamera } from "../../data/api";

/** A microphone is a channel of its own; people look for its bytes at the camera. */
export function foldSound(
  rows: readonly StorageCamera[],
  cameras: Pick<Camera, "id" | "name" | "microphone">[],
): StorageCamera[] {
  const owners = new Map(cameras.map((camera) => [camera.microphone, camera]));
  const folded = new Map<string, { -readonly [Key in keyof StorageCamera]: StorageCamera[Key] }>();
  for (const row of rows) {
    const owner = owners.get(row.camera);
    const camera = owner?.id ?? row.camera;
    const known = folded.get(camera);
    if (!known) {
      folded.set(camera, { ...row, camera, name: owner?.name ?? row.name });
      continue;
    }
    if (!owner) known.name = row.name;
    known.used_bytes += row.used_bytes;
    known.bytes_per_day = known.bytes_per_day + row.bytes_per_day;
    // Times of one server compare as text.
    if (row.oldest && (!known.oldest || row.oldest < known.oldest)) known.oldest = row.oldest;
    if (row.newest && (!known.newest || row.newest > known.newest)) known.newest = row.newest;
  }
  return [...folded.values()];
}
