import { Button, PasswordInput, TextInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { ProblemLine, problemText } from "../../components/problem";
import { ApiError } from "../../data/client";
import { useSessionActions } from "../../data/session";
import { t } from "../../i18n";
import { Frame } from "./frame";

export function SignIn() {
  const { signIn } = useSessionActions();
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [otp, setOtp] = useState("");
  const [secondFactor, setSecondFactor] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [wait, setWait] = useState(0);

  useEffect(() => {
    if (wait <= 0) return;
    const timer = setTimeout(() => setWait(wait - 1), 1_000);
    return () => clearTimeout(timer);
  }, [wait]);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await signIn({ user, password, otp: secondFactor ? otp : undefined });
    } catch (error) {
      if (error instanceof ApiError && error.code === "second_factor_needed") setSecondFactor(true);
      else setProblem(error);
      if (error instanceof ApiError && error.code === "too_many_requests") {
        setWait(Math.ceil(error.retryAfter ?? Number(error.problem.parameters?.retry_after_seconds ?? 30)));
      }
    } finally {
      setBusy(false);
    }
  };

  const limited = problem instanceof ApiError && problem.code === "too_many_requests";
  return (
    <Frame title={t("sign_in.title")}>
      <form onSubmit={submit}>
        <TextInput
          label={t("sign_in.user")}
          name="user"
          autoComplete="username"
          autoCapitalize="none"
          autoFocus
          required
          withAsterisk={false}
          size="md"
          value={user}
          onChange={(event) => setUser(event.currentTarget.value)}
        />
        <PasswordInput
          label={t("sign_in.password")}
          name="password"
          autoComplete="current-password"
          required
          withAsterisk={false}
          size="md"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
          visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
        />
        {secondFactor && (
          <TextInput
            label={t("sign_in.otp")}
            name="otp"
            inputMode="numeric"
            autoComplete="one-time-code"
            autoFocus
            required
            withAsterisk={false}
            size="md"
            value={otp}
            onChange={(event) => setOtp(event.currentTarget.value)}
          />
        )}
        <ProblemLine>
          {limited && wait > 0
            ? t("sign_in.wait", { seconds: wait })
            : limited
              ? null
              : problem
                ? problemText(problem)
                : null}
        </ProblemLine>
        <Button type="submit" size="md" fullWidth loading={busy} disabled={wait > 0}>
          {t("sign_in.submit")}
        </Button>
      </form>
    </Frame>
  );
}
