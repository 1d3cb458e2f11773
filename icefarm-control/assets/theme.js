// Runs before the page is drawn, so that no wrong theme flashes up.
"use strict";
(function () {
  const root = document.documentElement;
  root.classList.add("js");
  let theme = "system";
  try {
    theme = localStorage.getItem("icefarm-theme") || "system";
  } catch {
    // A browser that keeps nothing has the system's theme.
  }
  if (theme !== "system") root.dataset.theme = theme;
})();
