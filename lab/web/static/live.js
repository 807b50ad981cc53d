// Renews the parts of a page that show what is new. Without it every page is whole, and stays as it was loaded.
"use strict";
(() => {
  const SETTLE_MS = 300, AGAIN_MS = 3000;  // several events in a row are one renewal; after a refusal
  const UNAVAILABLE = 503, TYPED_MS = 180, MOST_LOG_LINES = 2000, MOST_NEWS = 4, NEWS_MS = 15000;
  const find = (css, inside = document) => inside.querySelector(css);
  const all = (css, inside = document) => Array.from(inside.querySelectorAll(css));
  // Whether the page shows what is: it is connected, the lab can be read, and no part of it was refused.
  let connected = ["", false], away = "";
  const refused = new Map();  // part -> why there is no newer one
  const showState = (state = find("#connection")) => {
    const [why] = refused.values();
    const [words, isGood] = !connected[1] ? connected : away ? [away, false] : why ? [`not renewed: ${why}`, false] : connected;
    if (state.textContent !== words) state.textContent = words;
    state.classList.toggle("is-live", isGood);
  };
  const tell = (words, isGood) => { connected = [words, isGood]; showState(); };
  const toldAway = (words) => { away = words; showState(); };

  // -- parts ---------------------------------------------------------------------------------------------------
  const timers = new Map(), renewed = new Map();  // part -> the renewal that is due; when it was asked for last
  const part = (name) => find(`[data-part="${name}"]`);

  // What a reader has done to a part: where the focus is, what is typed, what is open, how far it was moved.
  const kept = (old) => {
    const at = old.contains(document.activeElement) ? document.activeElement : null;
    const field = at?.matches("input, textarea") && at.type !== "radio" ? at : null;
    return {
      id: at?.id, href: at?.getAttribute("href"), name: at?.getAttribute("aria-label"),
      range: field && [field.selectionStart, field.selectionEnd],
      typed: all("input[id]:not([type=hidden]), textarea[id], select[id]", old)
        .filter((each) => each.checked || (each.value !== each.defaultValue && each.type !== "radio"))
        .map((each) => [each.id, each.value, each.checked]),
      open: all("details[open][id]", old).map((each) => each.id),
      moved: all(".plot, .wide, pre", old).map((each) => [each.scrollLeft, each.scrollTop]),
    };
  };
  const restored = (fresh, had) => {
    const named = (id) => id && all("[id]", fresh).find((each) => each.id === id);
    for (const [id, value, checked] of had.typed) {
      const field = named(id);
      if (field && field.type === "radio") field.checked = checked; else if (field) field.value = value;
    }
    had.open.forEach((id) => { const each = named(id); if (each) each.open = true; });
    all(".plot, .wide, pre", fresh).forEach((each, place) => {
      [each.scrollLeft, each.scrollTop] = had.moved[place] || [0, 0];
    });
    const again = named(had.id)
      || (had.href && all("[href]", fresh).find((each) => each.getAttribute("href") === had.href))
      || (had.name && all("[aria-label]", fresh).find((each) => each.getAttribute("aria-label") === had.name));
    if (again) again.focus({ preventScroll: true });
    if (again && had.range && had.range[0] !== null) again.setSelectionRange(...had.range);
  };
  const isRead = (old) => {  // somebody is marking words in it
    const marked = window.getSelection();
    return marked && !marked.isCollapsed && old.contains(marked.anchorNode);
  };
  const parsed = (html) => new DOMParser().parseFromString(html, "text/html");
  const swap = (old, html) => {
    const fresh = find(`[data-part="${old.dataset.part}"]`, parsed(html));
    if (!fresh || !old.isConnected || fresh.outerHTML === old.outerHTML) return;
    const had = kept(old);
    old.replaceWith(document.adoptNode(fresh));
    restored(fresh, had);
  };
  const ask = async (address, name, signal) => {
    const to = new URL(address, location.href);
    to.searchParams.set("part", name);
    to.hash = "";
    const answer = await fetch(to, { headers: { Accept: "text/html" }, credentials: "same-origin", signal });
    const html = await answer.text();
    if (answer.ok && !answer.redirected) return html;
    const what = answer.redirected ? "log in again" : find("h1", parsed(html))?.textContent;
    throw Object.assign(new Error(what || answer.statusText), { status: answer.status });
  };
  const renew = (name) => {
    const old = part(name);
    if (!old || timers.has(name)) return;
    const least = Number(old.dataset.wait || 0) - (Date.now() - (renewed.get(name) || 0));
    timers.set(name, setTimeout(async () => {
      timers.delete(name);
      const now = part(name);
      if (!now) return;
      if (document.hidden || isRead(now)) { setTimeout(renew, AGAIN_MS, name); return; }
      renewed.set(name, Date.now());
      try {
        const html = await ask(location.href, name);
        refused.delete(name);
        swap(part(name) || now, html);
        now.dataset.then?.split(" ").forEach(renew);  // which says what these have found out
      } catch (error) {  // without a status the server is gone, and that is said already
        if (error.status) refused.set(name, error.message);
        if (error.status === UNAVAILABLE) setTimeout(renew, AGAIN_MS, name);
      }
      showState();
    }, Math.max(SETTLE_MS, least)));
  };

  all("[data-again]").forEach((each) => renew(each.dataset.part));  // it was sent before all was known

  // -- filters, and links that change only a part --------------------------------------------------------------
  let asking = new AbortController();
  const show = async (address, name) => {
    asking.abort();
    const mine = asking = new AbortController();
    try {
      const html = await ask(address, name, mine.signal);
      if (mine.signal.aborted) return;
      history.replaceState(null, "", address);
      swap(part(name), html);
      find("#said").textContent = find(".sample", part(name))?.textContent || "";  // for who does not see the table
    } catch (error) {
      if (error.name !== "AbortError") location.assign(address);
    }
  };
  const asked = (form) => {
    const query = new URLSearchParams(Array.from(new FormData(form)).filter(([, value]) => value !== ""));
    return location.pathname + (query.size ? `?${query}` : "");
  };
  all("form[data-filter]").forEach((form) => {
    let due = 0;
    const go = (wait) => { clearTimeout(due); due = setTimeout(() => show(asked(form), form.dataset.filter), wait); };
    form.addEventListener("input", () => go(TYPED_MS));
    form.addEventListener("submit", (event) => { event.preventDefault(); go(0); });
  });
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[data-same]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const sort = find("form[data-filter] [name=sort]");
    if (sort) sort.value = new URL(link.href).searchParams.get("sort") || "";  // the next thing typed keeps the order
    show(link.href, link.closest("[data-part]").dataset.part);
  });

  // -- news ----------------------------------------------------------------------------------------------------
  let told = 0;
  const announce = (words, news = find("#news")) => {
    if (!words) return;
    const isFlood = Date.now() - told < NEWS_MS / 10 && news.lastChild;  // nobody can listen to ten a second
    const line = isFlood ? news.lastChild : document.createElement("li");
    line.textContent = words;
    if (isFlood) return;
    told = Date.now();
    news.append(line);
    while (news.children.length > MOST_NEWS) news.firstChild.remove();
    setTimeout(() => line.remove(), NEWS_MS);
  };
  // A stream that is open while the page is seen: a browser has only six connections for a server.
  const stream = (address, events, onLost) => {
    let source = null, again = 0, isOver = false;
    const close = () => { clearTimeout(again); source?.close(); source = null; };
    const open = () => {
      if (source || isOver || document.hidden) return;
      source = new EventSource(address());
      source.addEventListener("open", () => tell("live", true));
      source.addEventListener("error", () => {
        tell("not connected: the page may be behind", false);
        onLost();
        if (source && source.readyState === EventSource.CLOSED) { close(); again = setTimeout(open, AGAIN_MS); }
      });
      for (const [name, act] of Object.entries(events)) {
        source.addEventListener(name, (event) => act(JSON.parse(event.data), event.lastEventId));
      }
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? (close(), onLost()) : open()));
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", open);
    open();
    return () => { isOver = true; close(); };
  };

  if (document.body.dataset.events) {
    const at = new URL(document.body.dataset.events, location.href);
    let wasLost = false;
    const on = (kind) => (told, id) => {
      toldAway(kind === "away" ? told.says : "");
      if (id) at.searchParams.set("seen", id);
      announce(told.says);
      all("[data-part]").forEach((each) => {
        if (kind === "stale" || each.dataset.on.split(" ").includes(kind)) renew(each.dataset.part);
      });
    };
    const events = Object.fromEntries(["run", "decision", "under-way", "lab", "stale", "away"].map((kind) => [kind, on(kind)]));
    events.hello = () => { toldAway(""); if (wasLost) { wasLost = false; on("stale")({}); } };
    stream(() => at.href, events, () => { wasLost = true; });
  }

  // -- a log ---------------------------------------------------------------------------------------------------
  const log = find("[data-log]");
  if (log) {
    const says = find("#log-state"), unfinished = find("#log-unfinished");
    let offset = Number(log.dataset.offset), lines = log.textContent.split("\n").length - 1;
    const counts = lines ? [lines] : [];
    const add = (told) => {
      const isAtEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
      const cut = told.skipped_bytes ? [`… ${told.skipped_bytes} bytes left out …`] : [];
      const more = [...cut, ...(told.lines || [])];
      if (more.length) unfinished.before(`${more.join("\n")}\n`);
      unfinished.textContent = told.unfinished || "";
      if (more.length) lines += counts[counts.push(more.length) - 1];
      while (lines > MOST_LOG_LINES && counts.length > 1) { log.firstChild.remove(); lines -= counts.shift(); }
      if (isAtEnd) log.scrollTop = log.scrollHeight;
      offset = told.offset;
    };
    log.normalize();
    log.scrollTop = log.scrollHeight;
    const end = (words) => {
      stop();
      says.textContent = words;
      tell("", false);
      all("[data-part]").forEach((each) => renew(each.dataset.part));
    };
    const stop = stream(() => `${log.dataset.log}&offset=${offset}`, {
      lines: add,
      over: (told) => { add(told); end(`ended: ${told.ended}`); },
      gone: (told) => end(`nothing more can be read: ${told.ended}`),
    }, () => {});
  }
})();
