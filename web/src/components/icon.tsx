/** Varde's own line icons on a 20 px grid, drawn with one stroke width. */
const PATHS = {
  live: "M3 5.5h9.5v9H3zM12.5 9l4.500-2.500v7L12.500 11",
  playback: "M10 3.500a6.500 6.500 0 1 1-6.300 4.900M3 4.500v4h4M10 6.500V10l2.600 1.600",
  exports: "M10 3v9M6.500 8.500 10 12l3.500-3.500M3.500 14v2.500h13V14",
  events: "M3.500 5h1M7.500 5h9M3.500 10h1M7.500 10h9M3.500 15h1M7.500 15h9",
  settings: "M3 6h7M14 6h3M3 14h3M10 14h7M12 4v4M8 12v4",
  camera: "M3 6.500h10v7H3zM13 9.500l4-2v5l-4-2",
  storage:
    "M4 5.500c0-1.100 2.700-2 6-2s6 .9 6 2-2.700 2-6 2-6-.9-6-2zM4 5.500v9c0 1.100 2.700 2 6 2s6-.9 6-2v-9M4 10c0 1.100 2.700 2 6 2s6-.9 6-2",
  users: "M10 10a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 16.500c.6-2.900 3-4.500 6-4.500s5.400 1.600 6 4.500",
  key: "M7.500 12.500a3.500 3.500 0 1 1 2.400-1L16.500 5M14 7.500l2 2M12 9.500l1.500 1.500",
  pulse: "M2.500 10.500h3.500l2-5 3.500 9 2-4h4",
  plus: "M10 4v12M4 10h12",
  close: "M5 5l10 10M15 5 5 15",
  more: "M4.500 10h.01M10 10h.01M15.500 10h.01",
  play: "M6.500 4.500v11l9-5.500z",
  pause: "M7 4.500v11M13 4.500v11",
  reverse: "M13.500 4.500v11l-9-5.500z",
  stepBack: "M13.500 5v10l-6.500-5zM5 5v10",
  stepOn: "M6.500 5v10l6.500-5zM15 5v10",
  rewind: "M10 5v10l-6-5zM16.500 5v10l-6-5z",
  forward: "M10 5v10l6-5zM3.500 5v10l6-5z",
  sound: "M3.500 8v4H6l3.500 3V5L6 8zM12.500 7.500a3.500 3.500 0 0 1 0 5M14.700 5.500a6.500 6.500 0 0 1 0 9",
  mute: "M3.500 8v4H6l3.500 3V5L6 8zM13 8l4 4M17 8l-4 4",
  snapshot:
    "M3 6.500h3l1.500-2h5l1.500 2h3v9H3zM10 13.500a2.700 2.700 0 1 0 0-5.400 2.700 2.700 0 0 0 0 5.400z",
  fullscreen: "M4 8V4h4M12 4h4v4M16 12v4h-4M8 16H4v-4",
  grid1: "M3.500 4.500h13v11h-13z",
  grid4: "M3.500 4.500h13v11h-13zM10 4.500v11M3.500 10h13",
  grid9: "M3.500 4.500h13v11h-13zM7.800 4.500v11M12.200 4.500v11M3.500 8.200h13M3.500 11.800h13",
  grid16:
    "M3.500 4.500h13v11h-13zM6.700 4.500v11M10 4.500v11M13.300 4.500v11M3.500 7.200h13M3.500 10h13M3.500 12.800h13",
  gridAuto: "M3.500 4.500h13v11h-13zM11 4.500v11M11 10h5.500",
  panel: "M3.500 4.500h13v11h-13zM12.500 4.500v11",
  search: "M9 14.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM13 13l4 4",
  keyboard:
    "M2.500 5.500h15v9h-15zM5.500 8.500h.01M8.500 8.500h.01M11.500 8.500h.01M14.500 8.500h.01M7 11.500h6",
  theme: "M10 3.500v13a6.500 6.500 0 0 0 0-13zM10 3.500a6.500 6.500 0 0 0 0 13",
  signOut: "M8 4H4v12h4M8.500 10H17M14 7l3 3-3 3",
  warning: "M10 3.500 17.500 16h-15zM10 8v4M10 14h.01",
  error: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 6.500v4.500M10 13.500h.01",
  check: "M4.500 10.500 8.500 14.500 15.500 6",
  bookmark: "M6 3.500h8v13l-4-3-4 3z",
  trash: "M4 6h12M8 6V4h4v2M5.500 6l.8 10.500h7.400L14.500 6",
  calendar: "M3.500 5h13v11.500h-13zM3.500 8.500h13M7 3v3.500M13 3v3.500",
  edit: "M4 16l.8-3.300L13 4.500l2.500 2.500-8.200 8.200z",
  chevron: "M7.500 5l5 5-5 5",
  home: "M4 16.500V9l6-5 6 5v7.500h-4.500V12h-3v4.500z",
  zoom: "M9 14.500a5.500 5.500 0 1 0 0-11 5.500 5.500 0 0 0 0 11zM13 13l4 4M9 6.500v5M6.500 9h5",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth={name === "more" ? 2.4 : 1.5}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo({ size = 28 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="8 6 48 52" aria-hidden="true">
      <g fill="currentColor">
        <path d="M13 49.500c0-3.600 3.400-6.500 8.200-6.500h21.600c4.800 0 8.200 2.900 8.200 6.500S47.600 54 43 54H21c-4.600 0-8-.9-8-4.500z" />
        <path d="M18.500 37c0-3.200 3-5.600 7-5.600h13.400c4 0 6.600 2.400 6.600 5.600s-2.600 4-6.600 4H25.100c-4 0-6.600-.8-6.600-4z" />
        <path d="M24 25.800c0-2.700 2.400-4.800 5.400-4.800h5.400c3 0 5.200 2.100 5.200 4.800s-2.200 3.600-5.200 3.600h-5.600c-3 0-5.200-.9-5.200-3.600z" />
      </g>
      <circle cx="32" cy="14" r="3.200" fill="var(--v-blue)" />
      <path
        d="M25.200 17.200a7.600 7.600 0 0 1 0-6.400M38.800 10.800a7.600 7.600 0 0 1 0 6.400"
        fill="none"
        stroke="var(--v-blue)"
        strokeWidth="2.200"
        strokeLinecap="round"
      />
    </svg>
  );
}
