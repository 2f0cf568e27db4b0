/** Adds a camera: address, a look at its picture, save. */
import { Button, NumberInput, PasswordInput, SegmentedControl, Switch, TextInput } from "@mantine/core";
import { useState } from "react";
import { ProblemLine, problemText, toast } from "../../components/problem";
import { useCameraActions } from "../../data/camera";
import { t } from "../../i18n";
import styles from "./administration.module.css";
import { Panel } from "./panel";
import { type PreviewAddress, PreviewBox, usePreview } from "./preview";

export function CameraAdd({ close }: { close: (created?: string) => void }) {
  const { create } = useCameraActions();
  const [url, setUrl] = useState("rtsp://");
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [name, setName] = useState("");
  const [subUrl, setSubUrl] = useState("");
  const [transport, setTransport] = useState<"tcp" | "udp">("tcp");
  const [record, setRecord] = useState(true);
  const [days, setDays] = useState<number | string>("");
  const [asked, setAsked] = useState<PreviewAddress | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const preview = usePreview(asked);

  const addressOk = /^rtsps?:\/\/[^\s/]+/.test(url.trim());
  const address = (): PreviewAddress => ({
    url: url.trim(),
    user: user || undefined,
    password: password || undefined,
    transport,
  });

  const save = async () => {
    if (!addressOk) return setProblem(t("camera.address_wrong"));
    setBusy(true);
    setProblem(null);
    try {
      const camera = await create({
        ...address(),
        name: name.trim() || undefined,
        sub_url: subUrl.trim() || undefined,
        record,
        retention_days: typeof days === "number" ? days : undefined,
      });
      toast(t("camera.added", { name: camera.name }));
      close(camera.id);
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Panel
      title={t("camera.add")}
      close={() => close()}
      onSubmit={() => void save()}
      footer={
        <>
          <Button variant="default" onClick={() => close()}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" loading={busy} disabled={!addressOk}>
            {t("camera.save_new")}
          </Button>
        </>
      }
    >
      <PreviewBox preview={preview} asked={asked !== null && !preview.error} />
      {preview.error ? <ProblemLine>{problemText(preview.error)}</ProblemLine> : null}
      <TextInput
        data-first
        label={t("camera.address")}
        description={t("camera.address_help")}
        value={url}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setUrl(event.currentTarget.value)}
      />
      <div className={styles.pair}>
        <TextInput
          label={t("camera.user")}
          value={user}
          autoComplete="off"
          onChange={(event) => setUser(event.currentTarget.value)}
        />
        <PasswordInput
          label={t("camera.password")}
          value={password}
          autoComplete="new-password"
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
        />
      </div>
      <Button variant="default" disabled={!addressOk} onClick={() => setAsked(address())} data-preview-button>
        {t("camera.preview")}
      </Button>
      <TextInput
        label={t("camera.name")}
        placeholder={t("camera.name_placeholder")}
        maxLength={100}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <TextInput
        label={t("camera.sub_address")}
        description={t("camera.sub_address_help")}
        value={subUrl}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => setSubUrl(event.currentTarget.value)}
      />
      <div className={styles.pair}>
        <div>
          <p className={styles.section} style={{ margin: "0 0 6px" }}>
            {t("camera.transport")}
          </p>
          <SegmentedControl
            aria-label={t("camera.transport")}
            value={transport}
            onChange={(value) => setTransport(value as "tcp" | "udp")}
            data={[
              { value: "tcp", label: "TCP" },
              { value: "udp", label: "UDP" },
            ]}
          />
        </div>
        <NumberInput
          label={t("camera.retention")}
          placeholder={t("camera.retention_default")}
          min={1}
          max={3650}
          value={days}
          onChange={setDays}
        />
      </div>
      <Switch
        label={t("camera.record")}
        checked={record}
        onChange={(event) => setRecord(event.currentTarget.checked)}
      />
      <ProblemLine>{problem}</ProblemLine>
    </Panel>
  );
}
