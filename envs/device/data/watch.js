// Before a page's own scripts: count who listens to the mouse, let nothing move or wait by itself, let nothing leave the
// page, and fetch what its styles will show, or what is under the mouse would shrink while its picture comes.
(() => {
  const heard = new Set(["click", "mousedown", "mouseup", "pointerdown"]);
  const count = (name, by) => {
    const original = EventTarget.prototype[name];
    EventTarget.prototype[name] = function (type, ...rest) {
      if (heard.has(type) && this instanceof Element) this.agentgymEars = Math.max(0, (this.agentgymEars || 0) + by);
      return original.call(this, type, ...rest);
    };
  };
  count("addEventListener", 1);
  count("removeEventListener", -1);
  addEventListener("submit", (event) => event.preventDefault(), true);
  addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href]");
    if (link && !link.getAttribute("href").startsWith("#")) event.preventDefault();
  }, true);
  window.alert = () => {};
  window.confirm = () => true;
  window.prompt = () => null;
  window.open = () => null;
  window.agentgymPictures = [];
  const rules = (sheet) => {
    try {
      return [...sheet.cssRules];
    } catch {
      return []; // another file's
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    for (const rule of [...document.styleSheets].flatMap(rules))
      for (const [, url] of rule.cssText.matchAll(/url\("([^"]+)"\)/g)) {
        const picture = new Image();
        picture.src = url;
        agentgymPictures.push(picture);
      }
    const still = document.createElement("style");
    still.textContent = "* { transition: none !important; animation: none !important; caret-color: transparent !important }";
    document.head.append(still);
    if (window.jQuery) jQuery.fx.off = true;
    if (window.jQuery && jQuery.ui && jQuery.ui.menu) jQuery.ui.menu.prototype.delay = 0;
  });
})();
