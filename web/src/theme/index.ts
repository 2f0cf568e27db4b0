import { createTheme, defaultVariantColorsResolver, type MantineColorsTuple } from "@mantine/core";

/** Near-black and neutral: no blue in the greys. Index 7 is the page in the dark theme. */
const dark: MantineColorsTuple = [
  "#e7e7e9",
  "#b9b9be",
  "#98989f",
  "#5a5a60",
  "#2c2c2f",
  "#202023",
  "#151517",
  "#0b0b0c",
  "#060607",
  "#000000",
];

const gray: MantineColorsTuple = [
  "#fafafa",
  "#f4f4f5",
  "#ebebed",
  "#dfdfe2",
  "#cfcfd4",
  "#a4a4ab",
  "#6f6f77",
  "#55555c",
  "#35353a",
  "#18181b",
];

const blue: MantineColorsTuple = [
  "#eaf1ff",
  "#d3e1ff",
  "#a8c4ff",
  "#7aa7ff",
  "#4c8dff",
  "#3a7df5",
  "#2a6ce6",
  "#1f5bcb",
  "#184ba8",
  "#123b85",
];

export const theme = createTheme({
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "ui-monospace, 'SFMono-Regular', 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  headings: { fontWeight: "600", fontFamily: "'Inter Variable', system-ui, sans-serif" },
  colors: { dark, gray, blue },
  primaryColor: "blue",
  primaryShade: { light: 6, dark: 5 },
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "8px", xl: "12px" },
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  black: "#0b0b0c",
  // The main button is neutral: blue means selection and the playhead.
  variantColorResolver: (input) => {
    const usual = defaultVariantColorsResolver(input);
    const neutral = input.color === undefined || input.color === input.theme.primaryColor;
    if (input.variant === "filled" && neutral) {
      return {
        background: "var(--v-strong)",
        hover: "var(--v-strong-hover)",
        color: "var(--v-on-strong)",
        border: "1px solid transparent",
      };
    }
    if (input.variant === "subtle" && neutral) {
      return { ...usual, background: "transparent", hover: "var(--v-hover)", color: "var(--v-text)" };
    }
    return usual;
  },
  components: {
    // A named variant makes Mantine ask the resolver above.
    Button: { defaultProps: { size: "sm", variant: "filled" } },
    ActionIcon: { defaultProps: { variant: "subtle", size: 32 } },
    TextInput: { defaultProps: { size: "sm" } },
    PasswordInput: { defaultProps: { size: "sm" } },
    NumberInput: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "sm", allowDeselect: false, withCheckIcon: false } },
    Modal: {
      styles: { title: { fontWeight: 600 } },
      defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.6 }, shadow: "none" },
    },
    Menu: { defaultProps: { shadow: "none", withinPortal: true } },
    Tooltip: { defaultProps: { openDelay: 350, fz: "xs", withArrow: false } },
    SegmentedControl: { defaultProps: { size: "xs", withItemsBorders: false } },
  },
});
