/** People who sign in. */
import { Button, Checkbox, Modal, PasswordInput, Select, Skeleton, Switch, TextInput } from "@mantine/core";
import { useState } from "react";
import { useActions } from "../../actions";
import { Icon } from "../../components/icon";
import { ProblemLine, ProblemNotice, problemText, toast } from "../../components/problem";
import type { Id, Role, User } from "../../data/api";
import { useCameras } from "../../data/camera";
import { useUserActions, useUsers } from "../../data/user";
import { t } from "../../i18n";
import { setSearch, useLocation } from "../../router";
import { PASSWORD_LENGTH_MIN } from "../setup/set-up";
import styles from "./administration.module.css";
import { Panel } from "./panel";

const ROLES: Role[] = ["administrator", "operator", "viewer"];

export function Users() {
  const { search } = useLocation();
  const users = useUsers();
  const open = search.get("user");
  const setOpen = (id: string | null) => setSearch({ user: id }, { replace: false });
  useActions([
    {
      id: "user-add",
      label: "user.add",
      keys: ["a"],
      group: "group.page",
      needs: "administrator",
      run: () => setOpen("new"),
    },
    {
      id: "panel-close",
      label: "common.close",
      keys: ["Escape"],
      group: "group.page",
      run: () => setOpen(null),
    },
  ]);
  const chosen = users.data?.find((user) => user.id === open);
  return (
    <>
      <div className={styles.middle}>
        <header className={styles.bar}>
          <h2>{t("admin.users")}</h2>
          <span className={styles.grow} />
          <Button size="xs" leftSection={<Icon name="plus" size={16} />} onClick={() => setOpen("new")}>
            {t("user.add")}
          </Button>
        </header>
        {users.isError && !users.data ? (
          <ProblemNotice error={users.error} retry={() => void users.refetch()} />
        ) : (
          <div className={`${styles.scroll} quiet-scroll`}>
            <table className={styles.table}>
              <thead>
                <tr>
                  <th>{t("user.name")}</th>
                  <th>{t("user.role")}</th>
                  <th>{t("user.cameras")}</th>
                  <th>{t("user.state")}</th>
                </tr>
              </thead>
              <tbody>
                {users.isPending && (
                  <tr>
                    <td colSpan={4}>
                      <Skeleton height={20} />
                    </td>
                  </tr>
                )}
                {users.data?.map((user) => (
                  <tr
                    key={user.id}
                    data-clickable
                    data-open={user.id === open || undefined}
                    tabIndex={0}
                    onClick={() => setOpen(user.id)}
                    onKeyDown={(event) => event.key === "Enter" && setOpen(user.id)}
                  >
                    <td>{user.name}</td>
                    <td>{t(`role.${user.role}`)}</td>
                    <td className={styles.dim}>
                      {user.cameras === "all"
                        ? t("user.all_cameras")
                        : t("camera.count", { count: user.cameras.length })}
                    </td>
                    <td className={styles.dim}>
                      {user.enabled ? t("user.enabled_state") : t("user.disabled_state")}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      {(open === "new" || chosen) && <Form key={open} user={chosen} close={() => setOpen(null)} />}
    </>
  );
}

function Form({ user, close }: { user: User | undefined; close: () => void }) {
  const { create, update, remove } = useUserActions();
  const cameras = useCameras();
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<Role>(user?.role ?? "viewer");
  const [password, setPassword] = useState("");
  const [enabled, setEnabled] = useState(user?.enabled ?? true);
  const [all, setAll] = useState(user ? user.cameras === "all" : true);
  const [chosen, setChosen] = useState<Id[]>(user && user.cameras !== "all" ? [...user.cameras] : []);
  const [removing, setRemoving] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const act = async (work: () => Promise<unknown>, done: string) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      toast(done);
      close();
    } catch (error) {
      setProblem(problemText(error));
    } finally {
      setBusy(false);
    }
  };
  const save = () => {
    const body = { name: name.trim(), role, cameras: all ? ("all" as const) : chosen, enabled };
    if (!user) return act(() => create({ ...body, password }), t("user.added", { name: body.name }));
    return act(
      () => update(user.id, { ...body, version: user.version, ...(password ? { password } : {}) }),
      t("user.saved", { name: body.name }),
    );
  };
  return (
    <Panel
      title={user ? user.name : t("user.add")}
      close={close}
      onSubmit={() => void save()}
      footer={
        <>
          {user && (
            <Button variant="subtle" color="red" mr="auto" onClick={() => setRemoving(true)}>
              {t("user.remove")}
            </Button>
          )}
          <Button variant="default" onClick={close}>
            {t("common.cancel")}
          </Button>
          <Button type="submit" loading={busy} disabled={!name.trim() || (!user && !password)}>
            {t("common.save")}
          </Button>
        </>
      }
    >
      <TextInput
        data-first
        label={t("user.name")}
        autoComplete="off"
        maxLength={100}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
      />
      <Select
        label={t("user.role")}
        description={t(`role.${role}_help`)}
        data={ROLES.map((value) => ({ value, label: t(`role.${value}`) }))}
        value={role}
        onChange={(value) => value && setRole(value as Role)}
      />
      <PasswordInput
        label={user ? t("user.new_password") : t("sign_in.password")}
        description={t("set_up.password_help", { count: PASSWORD_LENGTH_MIN })}
        placeholder={user ? t("user.password_kept") : ""}
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        visibilityToggleButtonProps={{ "aria-label": t("sign_in.show_password") }}
      />
      <Switch
        label={t("user.enabled")}
        checked={enabled}
        onChange={(event) => setEnabled(event.currentTarget.checked)}
      />
      <Switch
        label={t("user.all_cameras")}
        checked={all}
        onChange={(event) => setAll(event.currentTarget.checked)}
      />
      {!all && (
        <Checkbox.Group label={t("user.cameras")} value={chosen} onChange={setChosen}>
          <div style={{ display: "grid", gap: 8, marginTop: 8 }}>
            {cameras.data?.map((camera) => (
              <Checkbox key={camera.id} size="xs" value={camera.id} label={camera.name} />
            ))}
          </div>
        </Checkbox.Group>
      )}
      <ProblemLine>{problem}</ProblemLine>
      {removing && user && (
        <Modal
          opened
          onClose={() => setRemoving(false)}
          title={t("user.remove_title", { name: user.name })}
          size={400}
          transitionProps={{ duration: 0 }}
        >
          <p className={styles.plain}>{t("user.remove_text")}</p>
          <div className={styles.footer} style={{ border: 0, padding: "20px 0 0" }}>
            <Button variant="default" onClick={() => setRemoving(false)} data-autofocus>
              {t("common.cancel")}
            </Button>
            <Button
              color="red"
              onClick={() => void act(() => remove(user.id), t("user.removed", { name: user.name }))}
            >
              {t("user.remove_confirm", { name: user.name })}
            </Button>
          </div>
        </Modal>
      )}
    </Panel>
  );
}
