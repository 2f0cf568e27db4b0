/** Tokens for programs. */
import { Button, Modal, NumberInput, Skeleton, TextInput } from "@mantine/core";
import { useState } from "react";
import { Empty } from "../../components/empty";
import { Icon } from "../../components/icon";
import { ProblemLine, ProblemNotice, problemText, toast, toastProblem } from "../../components/problem";
import type { Token, TokenCreated } from "../../data/api";
import { parseTime, serverClock } from "../../data/time";
import { useTokenActions, useTokens } from "../../data/token";
import { t } from "../../i18n";
import { dateTimeText, sinceText } from "../../i18n/format";
import styles from "./administration.module.css";
import { Panel } from "./panel";

export function Tokens() {
  const tokens = useTokens();
  const { remove } = useTokenActions();
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<Token | null>(null);
  const empty = tokens.data?.length === 0;

  const revoke = async (token: Token) => {
    setRemoving(null);
    try {
      await remove(token.id);
      toast(t("token.removed", { name: token.name ?? "" }));
    } catch (error) {
      toastProblem(error);
    }
  };
  return (
    <>
      <div className={styles.middle}>
        <header className={styles.bar}>
          <h2>{t("admin.tokens")}</h2>
          <span className={styles.grow} />
          {!empty && (
            <Button size="xs" leftSection={<Icon name="plus" size={16} />} onClick={() => setAdding(true)}>
              {t("token.add")}
            </Button>
          )}
        </header>
        {tokens.isError && !tokens.data ? (
          <ProblemNotice error={tokens.error} retry={() => void tokens.refetch()} />
        ) : empty ? (
          <Empty
            icon="key"
            title={t("token.empty_title")}
            action={<Button onClick={() => setAdding(true)}>{t("token.add")}</Button>}
          >
            {t("token.empty_text")}
          </Empty>
        ) : (
          <div className={`${styles.scroll} quiet-scroll`}>
            <table className={styles.table}>
              <thead>
                <tr>
                  <th>{t("token.name")}</th>
                  <th>{t("token.created")}</th>
                  <th>{t("token.used")}</th>
                  <th>{t("token.expires")}</th>
                  <th />
                </tr>
              </thead>
              <tbody>
                {tokens.isPending && (
                  <tr>
                    <td colSpan={5}>
                      <Skeleton height={20} />
                    </td>
                  </tr>
                )}
                {tokens.data?.map((token) => (
                  <tr key={token.id}>
                    <td>{token.name || "–"}</td>
                    <Instant value={token.created_at} />
                    <Instant value={token.used_at} />
                    <Instant value={token.expires_at} future />
                    <td className={styles.number}>
                      <Button size="compact-xs" variant="default" onClick={() => setRemoving(token)}>
                        {t("token.remove")}
                      </Button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {adding && <Add close={() => setAdding(false)} />}
      {removing && (
        <Modal
          opened
          onClose={() => setRemoving(null)}
          title={t("token.remove_title", { name: removing.name ?? "" })}
          size={400}
          transitionProps={{ duration: 0 }}
        >
          <p className={styles.plain}>{t("token.remove_text")}</p>
          <div className={styles.footer} style={{ border: 0, padding: "20px 0 0" }}>
            <Button variant="default" onClick={() => setRemoving(null)} data-autofocus>
              {t("common.cancel")}
            </Button>
            <Button color="red" onClick={() => void revoke(removing)}>
              {t("token.remove")}
            </Button>
          </div>
        </Modal>
      )}
    </>
  );
}

function Instant({ value, future }: { value: string | null | undefined; future?: boolean }) {
  const at = parseTime(value);
  if (at === null) return <td className={styles.dim}>–</td>;
  return (
    <td className={styles.dim} title={dateTimeText(at)}>
      {future ? dateTimeText(at) : sinceText(at, serverClock.now())}
    </td>
  );
}

function Add({ close }: { close: () => void }) {
  const { create } = useTokenActions();
  const [name, setName] = useState("");
  const [days, setDays] = useState<number | string>(30);
  const [made, setMade] = useState<TokenCreated | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const submit = async () => {
    setProblem(null);
    try {
      setMade(
        await create({ name: name.trim(), expires_in_days: typeof days === "number" ? days : undefined }),
      );
    } catch (error) {
      setProblem(problemText(error));
    }
  };
  const copy = async (text: string) => {
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    toast(t("token.copied"));
  };
  return (
    <Panel
      title={t("token.add")}
      close={close}
      onSubmit={() => void submit()}
      footer={
        made ? (
          <Button onClick={close}>{t("common.done")}</Button>
        ) : (
          <>
            <Button variant="default" onClick={close}>
              {t("common.cancel")}
            </Button>
            <Button type="submit" disabled={!name.trim()}>
              {t("token.create")}
            </Button>
          </>
        )
      }
    >
      {made ? (
        <>
          <p className={styles.plain}>{t("token.once")}</p>
          <div className={styles.secret}>{made.token}</div>
          <Button variant="default" onClick={() => void copy(made.token)}>
            {t("token.copy")}
          </Button>
        </>
      ) : (
        <>
          <TextInput
            data-first
            label={t("token.name")}
            description={t("token.name_help")}
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <NumberInput label={t("token.days")} min={1} max={365} value={days} onChange={setDays} />
          <ProblemLine>{problem}</ProblemLine>
        </>
      )}
    </Panel>
  );
}
