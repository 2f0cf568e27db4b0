/** The server: version, uptime, recorder. */
import { Skeleton } from "@mantine/core";
import { CameraDot } from "../../components/camera-state";
import { ProblemNotice } from "../../components/problem";
import { useCameras } from "../../data/camera";
import { useSystem } from "../../data/system";
import { parseTime, serverClock } from "../../data/time";
import { t } from "../../i18n";
import { dateTimeText, durationText, sinceText } from "../../i18n/format";
import styles from "./administration.module.css";

export function SystemPage() {
  const system = useSystem();
  const cameras = useCameras();
  const data = system.data;
  const online = cameras.data?.filter((camera) => camera.state === "online").length ?? 0;
  const recording = cameras.data?.filter((camera) => camera.recording).length ?? 0;
  const started = parseTime(data?.started);
  const recorder = parseTime(data?.recorder.started);
  return (
    <div className={styles.middle}>
      <header className={styles.bar}>
        <h2>{t("admin.system")}</h2>
      </header>
      {system.isError && !data ? (
        <ProblemNotice error={system.error} retry={() => void system.refetch()} />
      ) : !data ? (
        <div className={styles.storages}>
          <Skeleton height={160} />
        </div>
      ) : (
        <div className={`${styles.storages} ${styles.scroll} quiet-scroll`}>
          <section className={styles.storage}>
            <div className={styles.storageHead}>
              <h3>{data.server_name || "Varde"}</h3>
              <span className={styles.badge}>{t("system.version", { version: data.version })}</span>
            </div>
            <div className={styles.figures} style={{ borderBottom: 0 }}>
              <div>
                <strong>{durationText(data.uptime_seconds * 1_000_000)}</strong>
                <span title={started === null ? undefined : dateTimeText(started)}>{t("system.uptime")}</span>
              </div>
              <div>
                <strong>
                  {online} / {cameras.data?.length ?? 0}
                </strong>
                <span>{t("system.cameras_online")}</span>
              </div>
              <div>
                <strong>{recording}</strong>
                <span>{t("system.cameras_recording")}</span>
              </div>
              <div>
                <strong>{data.limits?.transcode_streams_max ?? "–"}</strong>
                <span>{t("system.transcode_max")}</span>
              </div>
            </div>
          </section>
          <section className={styles.storage} style={{ padding: 16 }}>
            <dl className={styles.facts} style={{ fontSize: 14 }}>
              <dt>{t("system.recorder")}</dt>
              <dd className={styles.stateCell} style={{ justifyContent: "flex-end" }}>
                <CameraDot state={data.recorder.connected ? "online" : "disconnected"} />
                <span>
                  {data.recorder.connected ? t("system.recorder_connected") : t("system.recorder_away")}
                  {recorder !== null &&
                    ` · ${t("system.since", { time: sinceText(recorder, serverClock.now()) })}`}
                </span>
              </dd>
              <dt>{t("system.clock")}</dt>
              <dd>{dateTimeText(serverClock.now())}</dd>
            </dl>
          </section>
        </div>
      )}
    </div>
  );
}
