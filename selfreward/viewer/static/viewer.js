// Keys on lists and pairs. Everything they do can be done without them, by links and forms of the page.
"use strict";

(() => {
  const one = (selector) => document.querySelector(selector);

  const move = (step) => {
    const rows = [...document.querySelectorAll("a[data-row]")];
    if (rows.length === 0) return;
    const here = rows.indexOf(document.activeElement);
    const next = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
    const target = rows[Math.min(Math.max(next, 0), rows.length - 1)];
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  };

  const follow = (selector) => one(selector)?.click();

  const reveal = (rank) => {
    const candidate = document.getElementById(`candidate-${rank}`);
    if (!candidate) return;
    candidate.querySelector("details")?.setAttribute("open", "");
    candidate.focus();
    candidate.scrollIntoView({ block: "start" });
  };

  // An override needs a reason, so its key leads to the place where the reason is written.
  const prepare = (action) => {
    const choice = one(`#override input[name="action"][value="${action}"]`);
    if (!choice) return;
    choice.checked = true;
    one("#override input[name='reason']").focus();
    one("#override").scrollIntoView({ block: "center" });
  };

  const help = () => {
    const dialog = one("#keys");
    if (dialog?.open) dialog.close();
    else dialog?.showModal();
  };

  const actions = {
    j: () => move(1),
    k: () => move(-1),
    n: () => follow("a[rel='next']"),
    p: () => follow("a[rel='prev']"),
    s: () => prepare("swap"),
    x: () => prepare("exclude"),
    "?": help,
  };

  const isTyping = (target) => target.closest("input:not([type='radio']):not([type='checkbox']), select, textarea");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const action = /^[1-9]$/.test(event.key) ? () => reveal(event.key) : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Without scripts the button could do nothing, so it is shown here.
  one("[data-open-keys]")?.removeAttribute("hidden");

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-open-keys]")) help();
  });
})();
