import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { ProblemLine, problemText } from "../../components/problem";
import { useSessionActions } from "../../data/session";
import { t } from "../../i18n";
import { Frame } from "../sign-in/frame";
import styles from "../sign-in/frame.module.css";

export const PASSWORD_LENGTH_MIN = 10;

/** The first start: the code that the server printed, and the first administrator. */
export function SetUp() {
  const { setUp } = useSessionActions();
  const [code, setCode] = useState("");
  const [user, setUser] = useState("admin");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (password !== again) return setProblem(t("set_up.differ"));
    setBusy(true);
    setProblem(null);
    try {
      await setUp({ code: code.trim(), user: user.trim(), password });
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <Frame title={t("set_up.title")}>
      <p className={styles.lead}>{t("set_up.lead")}</p>
      <form onSubmit={submit}>
        <TextInput
          label={t("set_up.code")}
          description={t("set_up.code_help")}
          name="code"
          autoComplete="off"
          autoFocus
          required
          withAsterisk={false}
          size="md"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        <TextInput
          label={t("set_up.user")}
          name="user"
          autoComplete="username"
          autoCapitalize="none"
          required
          withAsterisk={false}
          size="md"
          value={user}
          onChange={(event) => setUser(event.currentTarget.value)}
        />
        <PasswordInput
          label={t("set_up.password")}
          description={t("set_up.password_help", { count: PASSWORD_LENGTH_MIN })}
          name="password"
          autoComplete="new-password"
          minLength={PASSWORD_LENGTH_MIN}
          required
          withAsterisk={false}
          size="md"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
        />
        <PasswordInput
          label={t("set_up.again")}
          name="again"
          autoComplete="new-password"
          required
          withAsterisk={false}
          size="md"
          value={again}
          onChange={(event) => setAgain(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
        />
        <ProblemLine>{problem}</ProblemLine>
        <Button type="submit" size="md" fullWidth loading={busy}>
          {t("set_up.submit")}
        </Button>
      </form>
    </Frame>
  );
}
