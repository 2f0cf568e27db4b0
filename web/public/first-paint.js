// Sets the theme before the first paint, so that no page ever flashes in the wrong one. It is a file and not
// inline because the content security policy forbids inline scripts.
(() => {
  let choice = "dark";
  try {
    choice = localStorage.getItem("mantine-color-scheme-value") || "dark";
  } catch {
    // Storage may be forbidden; dark is the default.
  }
  if (choice !== "light" && choice !== "dark") {
    choice = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }
  document.documentElement.setAttribute("data-mantine-color-scheme", choice);
})();
