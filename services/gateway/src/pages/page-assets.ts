// Contains the style and the script of the pages, which are served from the gateway's own origin.

export const PAGE_STYLE = `body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #1c2430; background: #f3f5f8; }
main { max-width: 30rem; margin: 10vh auto; padding: 2rem; background: #fff; border-radius: 0.5rem; }
main.wide { max-width: 50rem; margin: 2rem auto; }
h1 { margin: 0 0 1rem; font-size: 1.5rem; }
label { display: block; font-weight: 600; }
input, textarea { box-sizing: border-box; width: 100%; padding: 0.5rem; font: inherit; border: 1px solid #8a94a3; border-radius: 0.25rem; }
textarea { font: 0.8rem/1.4 ui-monospace, monospace; }
button { padding: 0.6rem 1.2rem; font: inherit; font-weight: 600; color: #fff; background: #1f5fbf; border: 0; border-radius: 0.25rem; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid #f0a202; outline-offset: 2px; }
.problem { padding: 0.75rem; border-left: 4px solid #b3261e; background: #fdecea; }
.hint { color: #4b5563; font-size: 0.9rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; }
th, td { padding: 0.4rem; text-align: left; border-bottom: 1px solid #d5dae1; overflow-wrap: anywhere; }
`;

/** Moves the token from the fragment to the form, so that neither history nor bookmarks keep the token. */
export const PAGE_SCRIPT = `"use strict";
function takeToken() {
  const [, token] = /^#token=([^&]+)$/.exec(location.hash) ?? [];
  const input = document.getElementById("token");
  if (token === undefined || input === null) return;
  try {
    input.value = decodeURIComponent(token);
  } catch {
    return;
  }
  input.closest(".token").hidden = true;
  history.replaceState(null, "", location.pathname);
}
takeToken();
addEventListener("hashchange", takeToken);
`;
