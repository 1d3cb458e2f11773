// Light or dark. It runs before the page is drawn, so that no wrong theme flashes up.
"use strict";
(function () {
  const THEMES = ["system", "light", "dark"];
  const root = document.documentElement;
  root.classList.add("js");
  let theme = "system";
  try {
    theme = localStorage.getItem("icefarm-theme") || "system";
  } catch {
    // A browser that keeps nothing has the system's theme.
  }
  if (!THEMES.includes(theme)) theme = "system";

  function apply() {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }

  apply();
  document.addEventListener("DOMContentLoaded", () => {
    const [button, name] = ["theme", "theme-name"].map((id) => document.getElementById(id));
    name.textContent = theme;
    button.hidden = false;
    button.addEventListener("click", () => {
      theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
      name.textContent = theme;
      apply();
      try {
        localStorage.setItem("icefarm-theme", theme);
      } catch {
        // It holds for this visit.
      }
    });
  });
})();
