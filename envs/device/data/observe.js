// What a page shows: its elements in reading order, what is hidden and by what it opens, and how the episode stands.
(async () => {
  const loaded = (picture) => new Promise((done) => ["load", "error"].forEach((kind) => picture.addEventListener(kind, done)));
  for (let i = 0; i < 2; i++) await new Promise((done) => setTimeout(done, 0));
  await Promise.all([...document.images].filter((picture) => !picture.complete).map(loaded));
  const foreign = new Set(["reward-display", "sync-task-cover", "click-canvas", "query"]);
  const typed = new Set(["text", "password", "search", "email", "tel", "url", "number", "date", "time", "month", "week"]);
  const roles = new Set(["button", "tab", "link", "option", "menuitem", "checkbox", "radio"]);
  const native = "a, button, input, select, textarea, option";
  const elements = [], nodes = [], hidden = [], labels = new Set();
  const clean = (text) => (text || "").replace(/\s+/g, " ").trim();
  const drags = (e) => e.matches(".ui-draggable, .ui-sortable > *") || "__onmousedown.drag" in e; // jQuery UI's, d3's
  const ears = (e) =>
    e !== document.body && !e.matches(".ui-draggable, .ui-resizable") && // they listen, and a click does nothing
    (e.agentgymEars > 0 || e.onclick || e.onmousedown || roles.has(e.getAttribute("role")));
  const within = (e) => [...e.querySelectorAll("*")].some((d) => d.matches(native) || ears(d) || drags(d));
  const shapes = { rect: "rectangle", circle: "circle", polygon: "triangle" };
  const shape = (e) => `${e.getAttribute("fill")} ${shapes[e.tagName] || e.tagName}`;
  const middle = (e) => {
    const box = e.getBoundingClientRect();
    return `${Math.round(box.left + box.width / 2)} ${Math.round(box.top + box.height / 2)}`;
  };
  const visible = (e) => e.checkVisibility({ visibilityProperty: true });
  const looks = (e) => [...e.classList].filter((c) => !/^ui-(button|widget|corner|state|icon)/.test(c)).join(" ");
  const name = (e) =>
    clean(e.getAttribute("aria-label") || e.placeholder || e.title || e.alt || e.name || e.id) || looks(e) || e.type || "";
  const labelled = (e) => {
    const label = e.labels && e.labels[0];
    if (!label || !clean(label.textContent)) return name(e);
    labels.add(label);
    return clean(label.textContent);
  };
  const put = (node, kind, text, value, act) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = (node instanceof Text ? range : node).getBoundingClientRect();
    if (kind !== "option" && (box.width === 0 || box.height === 0)) return;
    const of = kind === "option" ? node.parentElement.getBoundingClientRect() : box;
    const edges = [of.left, of.top, of.right, of.bottom].map(Math.round);
    elements.push([kind, clean(text), clean(value), edges, Boolean(act), document.activeElement === node]);
    nodes.push(node);
  };
  const opener = (e) => {
    const by = e.id && document.querySelector(`[aria-controls="${CSS.escape(e.id)}"]`);
    const before = by || e.previousElementSibling;
    return before ? nodes.findIndex((n) => before.contains(n)) : -1;
  };
  const bury = (e) => {
    const words = document.createTreeWalker(e, NodeFilter.SHOW_TEXT), at = opener(e);
    while (words.nextNode()) if (clean(words.currentNode.data)) hidden.push([clean(words.currentNode.data), at]);
  };
  const control = (e, tag) => {
    const type = tag === "input" ? e.type : tag;
    if (type === "checkbox") put(e, "checkbox", labelled(e), e.checked ? "on" : "off", true);
    else if (type === "radio") put(e, "radio", labelled(e), e.checked ? "on" : "off", true);
    else if (type === "textarea" || typed.has(type)) put(e, "edit", labelled(e), e.value, true);
    else if (tag === "input" && type !== "hidden") put(e, "button", e.value || name(e), "", true);
    else if (tag === "select") for (const o of e.options) put(o, "option", o.text, o.selected ? "on" : "off", true);
    else return false;
    return true;
  };
  const walk = (e, act) => {
    const tag = e.tagName.toLowerCase();
    if (foreign.has(e.id) || tag === "script" || tag === "style") return;
    if (!visible(e)) return bury(e);
    if (control(e, tag)) return;
    if (drags(e) && !within(e)) return put(e, "drag", e instanceof SVGElement ? shape(e) : e.innerText, middle(e), false);
    if (tag === "rect" && e.id && e.getAttribute("fill") === "none") return put(e, "box", name(e), middle(e), false);
    const own = tag === "a" || tag === "button" || ears(e);
    const text = clean(e.innerText === undefined ? e.textContent : e.innerText);
    const tab = e.closest("[role=tab], .pagination li");
    if (own && tab && !within(e)) {
      const chosen = tab.getAttribute("aria-selected") === "true" || tab.classList.contains("active");
      return put(e, "tab", text || name(e), chosen ? "on" : "off", true);
    }
    const opens = e.getAttribute("aria-haspopup") === "true";
    if (own && !within(e)) return put(e, opens ? "menu" : tag === "a" ? "link" : tag, text || name(e), "", true);
    if (tag === "img" || tag === "image") return put(e, "img", name(e), "", act);
    for (const child of e.childNodes) {
      if (child instanceof Element) walk(child, act || own);
      else if (child instanceof Text && clean(child.data)) put(child, "text", child.data, "", act || own);
    }
  };
  walk(document.body, false);
  const kept = nodes.map((n) => !(n instanceof Text) || ![...labels].some((label) => label.contains(n)));
  const moved = nodes.map((_, i) => kept.slice(0, i).filter(Boolean).length);
  window.agentgymNodes = nodes.filter((_, i) => kept[i]);
  const scrolls = [document.scrollingElement, ...document.querySelectorAll("#area, #area *")].filter(
    (e) => e.clientHeight > 20 && e.scrollHeight > e.clientHeight + 4 && getComputedStyle(e).overflowY !== "visible");
  window.agentgymScrolls = scrolls.sort((a, b) => b.scrollHeight - a.scrollHeight)[0] || null;
  const [top, rest] = agentgymScrolls
    ? [agentgymScrolls.scrollTop, agentgymScrolls.scrollHeight - agentgymScrolls.clientHeight - agentgymScrolls.scrollTop]
    : [0, 0];
  const said = core.getUtterance();
  const bold = [...document.querySelectorAll("#query b, #query .bold")].map((e) => clean(e.textContent));
  return {
    goal: clean(said.utterance || said), bold, over: WOB_DONE_GLOBAL, raw: WOB_RAW_REWARD_GLOBAL,
    elements: elements.filter((_, i) => kept[i]),
    hidden: hidden.map(([text, at]) => [text, at < 0 ? -1 : moved[at]]),
    above: top > 1, below: rest > 1,
  };
})()
