/** The rail, the banner, the palette and the help: what is around every room. */
import { Menu, Tooltip, useMantineColorScheme } from "@mantine/core";
import { type MouseEvent, type ReactNode, useState, useSyncExternalStore } from "react";
import { type Action, useActions } from "../../actions";
import type { Session } from "../../data/api";
import { connection } from "../../data/client";
import { mayActAs, useSessionActions } from "../../data/session";
import { type Key, LANGUAGES, type Language, setLanguage, t, useLanguage } from "../../i18n";
import { navigate, useLocation } from "../../router";
import { Icon, type IconName, Logo } from "../icon";
import { Keys } from "./keys";
import { Palette } from "./palette";
import styles from "./shell.module.css";

interface Room {
  path: string;
  label: Key;
  icon: IconName;
  key: string;
  needs?: "administrator";
}

const ROOMS: Room[] = [
  { path: "/live", label: "room.live", icon: "live", key: "g l" },
  { path: "/playback", label: "room.playback", icon: "playback", key: "g p" },
  { path: "/events", label: "room.events", icon: "events", key: "g e" },
  { path: "/exports", label: "room.exports", icon: "exports", key: "g x" },
];
const ADMINISTRATION: Room = {
  path: "/administration",
  label: "room.administration",
  icon: "settings",
  key: "g a",
  needs: "administrator",
};

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [open, setOpen] = useState<"palette" | "keys" | null>(null);
  const { setColorScheme, colorScheme } = useMantineColorScheme();
  const { signOut } = useSessionActions();
  const online = useSyncExternalStore(connection.subscribe, () => connection.online);
  const toggleTheme = () => setColorScheme(colorScheme === "dark" ? "light" : "dark");
  const rooms = [...ROOMS, ADMINISTRATION].filter((room) => mayActAs(session, room.needs ?? "viewer"));

  useActions([
    {
      id: "palette",
      label: "action.palette",
      keys: ["/"],
      group: "group.everywhere",
      run: () => setOpen("palette"),
    },
    { id: "keys", label: "action.keys", keys: ["?"], group: "group.everywhere", run: () => setOpen("keys") },
    ...rooms.map(
      (room): Action => ({
        id: `room${room.path}`,
        label: room.label,
        keys: [room.key],
        group: "group.rooms",
        needs: room.needs,
        run: () => navigate(room.path),
      }),
    ),
    { id: "theme", label: "action.theme", group: "group.everywhere", run: toggleTheme },
    { id: "sign-out", label: "action.sign_out", group: "group.everywhere", run: () => void signOut() },
  ]);

  return (
    <div className={styles.shell}>
      <nav className={styles.rail} aria-label={t("room.navigation")}>
        <span className={styles.logo}>
          <Logo size={26} />
        </span>
        {rooms.map((room) => (
          <RoomLink key={room.path} room={room} last={room === ADMINISTRATION} />
        ))}
        <AccountMenu
          session={session}
          onKeys={() => setOpen("keys")}
          onTheme={toggleTheme}
          onSignOut={() => void signOut()}
        />
      </nav>
      <div className={styles.content}>
        {!online && (
          <div className={styles.banner} role="status">
            <Icon name="warning" size={16} />
            {t("connection.lost")}
          </div>
        )}
        <div className={styles.page}>{children}</div>
      </div>
      {open === "palette" && <Palette session={session} close={() => setOpen(null)} />}
      {open === "keys" && <Keys session={session} close={() => setOpen(null)} />}
    </div>
  );
}

function RoomLink({ room, last }: { room: Room; last: boolean }) {
  const { path } = useLocation();
  const active = path === room.path || path.startsWith(`${room.path}/`);
  const follow = (event: MouseEvent) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    navigate(room.path);
  };
  return (
    <Tooltip label={t(room.label)} position="right">
      <a
        href={room.path}
        className={styles.room}
        data-active={active || undefined}
        data-last={last || undefined}
        aria-current={active ? "page" : undefined}
        onClick={follow}
      >
        <Icon name={room.icon} size={22} />
        <span>{t(room.label)}</span>
      </a>
    </Tooltip>
  );
}

function AccountMenu({
  session,
  onKeys,
  onTheme,
  onSignOut,
}: {
  session: Session;
  onKeys: () => void;
  onTheme: () => void;
  onSignOut: () => void;
}) {
  const language = useLanguage();
  const initial = session.user.name.slice(0, 1).toUpperCase();
  return (
    <Menu position="right-end" width={220}>
      <Menu.Target>
        <button
          type="button"
          className={styles.account}
          aria-label={t("account.menu", { name: session.user.name })}
        >
          {initial}
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {session.user.name} · {t(`role.${session.user.role}`)}
        </Menu.Label>
        <Menu.Item leftSection={<Icon name="keyboard" size={16} />} onClick={onKeys}>
          {t("action.keys")}
        </Menu.Item>
        <Menu.Item leftSection={<Icon name="theme" size={16} />} onClick={onTheme}>
          {t("action.theme")}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Label>{t("common.language")}</Menu.Label>
        {Object.entries(LANGUAGES).map(([code, { name }]) => (
          <Menu.Item
            key={code}
            leftSection={
              <span className={styles.tick}>{code === language && <Icon name="check" size={16} />}</span>
            }
            onClick={() => void setLanguage(code as Language)}
          >
            {name}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item leftSection={<Icon name="signOut" size={16} />} onClick={onSignOut}>
          {t("action.sign_out")}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
