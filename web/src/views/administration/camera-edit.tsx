/** Edits a camera field by field: each change is saved at once and can be undone. */
import {
  Button,
  Modal,
  NumberInput,
  PasswordInput,
  SegmentedControl,
  Select,
  Switch,
  TextInput,
} from "@mantine/core";
import { useEffect, useState } from "react";
import { stateText } from "../../components/camera-state";
import { ProblemLine, problemText, toast, toastProblem } from "../../components/problem";
import type { Camera, CameraUpdate } from "../../data/api";
import { useCameraActions } from "../../data/camera";
import { useStorages } from "../../data/storage";
import { formatTime, parseTime, serverClock } from "../../data/time";
import { type Key, t } from "../../i18n";
import { bitrateText, dateTimeText, sinceText } from "../../i18n/format";
import { navigate } from "../../router";
import styles from "./administration.module.css";
import { Panel } from "./panel";
import { LivePreview } from "./preview";

type Change = Omit<CameraUpdate, "version">;

export function CameraEdit({ camera, close }: { camera: Camera; close: () => void }) {
  const { update, retire } = useCameraActions();
  const storages = useStorages();
  const [problem, setProblem] = useState<string | null>(null);
  const [removing, setRemoving] = useState(false);

  const save = async (change: Change, before: Change | null, field: Key) => {
    setProblem(null);
    try {
      const saved = await update(camera.id, { ...change, version: camera.version });
      const undo =
        before &&
        (() =>
          void update(camera.id, { ...before, version: saved.version }).catch((error) =>
            toastProblem(error),
          ));
      toast(t("camera.saved", { field: t(field) }), undo ?? undefined);
    } catch (error) {
      setProblem(problemText(error));
    }
  };

  const remove = async () => {
    setRemoving(false);
    try {
      await retire(camera.id);
      toast(t("camera.removed_toast", { name: camera.name }));
      close();
    } catch (error) {
      setProblem(problemText(error));
    }
  };
  const since = parseTime(camera.state_since);
  return (
    <Panel
      title={camera.name}
      close={close}
      footer={
        <>
          <Button size="xs" variant="subtle" color="red" onClick={() => setRemoving(true)} mr="auto">
            {t("camera.remove")}
          </Button>
          <Button size="xs" variant="default" onClick={() => navigate(`/live?layout=1&cameras=${camera.id}`)}>
            {t("palette.watch_live")}
          </Button>
          <Button
            size="xs"
            variant="default"
            onClick={() =>
              navigate(`/playback?cameras=${camera.id}&t=${formatTime(serverClock.now() - 60_000_000)}`)
            }
          >
            {t("palette.play_back")}
          </Button>
        </>
      }
    >
      <div className={styles.preview}>
        <LivePreview
          id={camera.id}
          state={camera.state}
          since={camera.state_since}
          parameters={camera.parameters}
        />
      </div>
      <ProblemLine>{problem}</ProblemLine>
      <FieldText
        label={t("camera.name")}
        value={camera.name}
        required
        commit={(name) => save({ name }, { name: camera.name }, "camera.name")}
      />
      <Switch
        label={t("camera.enabled")}
        checked={camera.enabled}
        onChange={(event) =>
          void save({ enabled: event.currentTarget.checked }, { enabled: camera.enabled }, "camera.enabled")
        }
      />
      <Switch
        label={t("camera.record")}
        checked={camera.record}
        onChange={(event) =>
          void save({ record: event.currentTarget.checked }, { record: camera.record }, "camera.record")
        }
      />
      <div className={styles.pair}>
        <FieldNumber
          label={t("camera.retention")}
          placeholder={t("camera.retention_default")}
          value={camera.retention_days ?? null}
          commit={(retention_days) =>
            save({ retention_days }, { retention_days: camera.retention_days ?? null }, "camera.retention")
          }
        />
        <Select
          label={t("camera.storage")}
          data={(storages.data ?? []).map((storage) => ({ value: storage.id, label: storage.name }))}
          value={camera.storage ?? null}
          onChange={(storage) =>
            storage &&
            void save({ storage }, camera.storage ? { storage: camera.storage } : null, "camera.storage")
          }
        />
      </div>
      <p className={styles.section}>{t("camera.connection")}</p>
      <FieldText
        label={t("camera.address")}
        value={camera.url ?? ""}
        required
        commit={(url) => save({ url }, { url: camera.url }, "camera.address")}
      />
      <FieldText
        label={t("camera.sub_address")}
        value={camera.sub_url ?? ""}
        commit={(sub_url) =>
          save({ sub_url: sub_url || null }, { sub_url: camera.sub_url ?? null }, "camera.sub_address")
        }
      />
      <div className={styles.pair}>
        <FieldText
          label={t("camera.user")}
          value={camera.user ?? ""}
          commit={(user) => save({ user: user || null }, { user: camera.user ?? null }, "camera.user")}
        />
        <FieldPassword
          has={camera.has_password ?? false}
          commit={(password) => save({ password }, null, "camera.password")}
        />
      </div>
      <div>
        <p className={styles.section} style={{ margin: "0 0 6px" }}>
          {t("camera.transport")}
        </p>
        <SegmentedControl
          aria-label={t("camera.transport")}
          value={camera.transport}
          onChange={(value) =>
            void save(
              { transport: value as "tcp" | "udp" },
              { transport: camera.transport },
              "camera.transport",
            )
          }
          data={[
            { value: "tcp", label: "TCP" },
            { value: "udp", label: "UDP" },
          ]}
        />
      </div>
      <p className={styles.section}>{t("camera.facts")}</p>
      <dl className={styles.facts}>
        <dt>{t("camera.state")}</dt>
        <dd title={since === null ? undefined : dateTimeText(since)}>
          {stateText(camera.state, camera.parameters)}
          {since !== null && ` · ${sinceText(since, serverClock.now())}`}
        </dd>
        {camera.streams.map((stream) => (
          <Facts key={stream.id} stream={stream} />
        ))}
      </dl>
      {removing && (
        <Modal
          opened
          onClose={() => setRemoving(false)}
          title={t("camera.remove_title", { name: camera.name })}
          size={420}
          transitionProps={{ duration: 0 }}
        >
          <p className={styles.plain}>{t("camera.remove_text")}</p>
          <div className={styles.footer} style={{ border: 0, padding: "20px 0 0" }}>
            <Button variant="default" onClick={() => setRemoving(false)} data-autofocus>
              {t("common.cancel")}
            </Button>
            <Button color="red" variant="filled" onClick={() => void remove()}>
              {t("camera.remove_confirm", { name: camera.name })}
            </Button>
          </div>
        </Modal>
      )}
    </Panel>
  );
}

function Facts({ stream }: { stream: Camera["streams"][number] }) {
  const roles = stream.roles.map((role) => t(`stream.${role}`)).join(", ");
  const parts = [
    stream.codec?.toUpperCase(),
    stream.width ? `${stream.width}×${stream.height}` : null,
    stream.frames_per_second
      ? t("stream.fps", { fps: Math.round(stream.frames_per_second * 10) / 10 })
      : null,
    stream.bitrate_bps ? bitrateText(stream.bitrate_bps) : null,
    stream.packets_lost ? t("stream.lost", { count: stream.packets_lost }) : null,
    stream.viewers ? t("stream.viewers", { count: stream.viewers }) : null,
  ].filter(Boolean);
  return (
    <>
      <dt>{roles}</dt>
      <dd>{parts.join(" · ") || "–"}</dd>
    </>
  );
}

interface TextProps {
  label: string;
  value: string;
  required?: boolean;
  commit: (value: string) => Promise<void>;
}

/** Saves when the field is left or Enter is pressed; Escape takes the change back. */
function FieldText({ label, value, required, commit }: TextProps) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const done = () => {
    const next = text.trim();
    if (next === value) return;
    if (required && !next) setText(value);
    else void commit(next);
  };
  return (
    <TextInput
      label={label}
      value={text}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          event.preventDefault();
          done();
        } else if (event.key === "Escape" && text !== value) {
          event.preventDefault();
          setText(value);
        }
      }}
    />
  );
}

function FieldNumber({
  label,
  placeholder,
  value,
  commit,
}: {
  label: string;
  placeholder: string;
  value: number | null;
  commit: (value: number | null) => Promise<void>;
}) {
  const [text, setText] = useState<number | string>(value ?? "");
  useEffect(() => setText(value ?? ""), [value]);
  const done = () => {
    const next = typeof text === "number" ? text : null;
    if (next !== value) void commit(next);
  };
  return (
    <NumberInput
      label={label}
      placeholder={placeholder}
      min={1}
      max={3650}
      value={text}
      onChange={setText}
      onBlur={done}
      onKeyDown={(event) => event.key === "Enter" && done()}
    />
  );
}

function FieldPassword({ has, commit }: { has: boolean; commit: (value: string) => Promise<void> }) {
  const [text, setText] = useState("");
  const done = () => {
    if (!text) return;
    void commit(text);
    setText("");
  };
  return (
    <PasswordInput
      label={t("camera.password")}
      placeholder={has ? t("camera.password_kept") : ""}
      value={text}
      autoComplete="new-password"
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={done}
      onKeyDown={(event) => event.key === "Enter" && done()}
      visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
    />
  );
}
