/** A live picture in a form: of a camera, or of an address that is not saved yet. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { CameraState, Id, Parameters } from "../../data/api";
import { preview_create, preview_delete, preview_get } from "../../data/camera";
import { t } from "../../i18n";
import { Overlay, overlayWords, useLivePlayer } from "../live/tile";
import tileStyles from "../live/tile.module.css";
import styles from "./administration.module.css";

export function LivePreview({
  id,
  state,
  since,
  parameters,
}: {
  id: Id;
  state: CameraState;
  since?: string | null;
  parameters: Parameters;
}) {
  const { box, snapshot } = useLivePlayer(id, undefined, "live");
  const words = overlayWords({ state, state_since: since, parameters }, snapshot);
  return (
    <div ref={box} className={tileStyles.tile} data-phase={snapshot.phase} data-preview>
      {words && <Overlay words={words} busy={snapshot.phase === "connecting"} />}
    </div>
  );
}

export interface PreviewAddress {
  url: string;
  user?: string;
  password?: string;
  transport?: "tcp" | "udp";
}

/** Opens a preview for an address and closes it when the address or the form goes. */
export function usePreview(address: PreviewAddress | null) {
  const [id, setId] = useState<Id | null>(null);
  const [error, setError] = useState<unknown>(null);
  const key = address && JSON.stringify(address);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the address.
  useEffect(() => {
    setId(null);
    setError(null);
    if (!address) return;
    let ended = false;
    let made: Id | undefined;
    preview_create(address)
      .then((preview) => {
        made = preview.id;
        if (ended) void preview_delete(made);
        else setId(made);
      })
      .catch((problem: unknown) => !ended && setError(problem));
    return () => {
      ended = true;
      if (made) void preview_delete(made);
    };
  }, [key]);
  const state = useQuery({
    queryKey: ["preview", id],
    queryFn: () => preview_get(id ?? ""),
    enabled: id !== null,
    refetchInterval: 1_000,
  });
  return { id, error, state: state.data, ended: state.isError };
}

export function PreviewBox({ preview, asked }: { preview: ReturnType<typeof usePreview>; asked: boolean }) {
  return (
    <div className={styles.preview}>
      {preview.id && !preview.ended ? (
        <LivePreview
          key={preview.id}
          id={preview.id}
          state={preview.state?.state ?? "connecting"}
          parameters={preview.state?.parameters ?? {}}
        />
      ) : (
        <div className={styles.previewEmpty}>
          {preview.ended
            ? t("camera.preview_ended")
            : asked
              ? t("camera.preview_opening")
              : t("camera.preview_empty")}
        </div>
      )}
    </div>
  );
}
