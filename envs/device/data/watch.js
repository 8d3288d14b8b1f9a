// Before a page's own scripts: count who listens to the mouse, let nothing move by itself, and let nothing leave the page.
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
  document.addEventListener("DOMContentLoaded", () => {
    const still = document.createElement("style");
    still.textContent = "* { transition: none !important; animation: none !important; caret-color: transparent !important }";
    document.head.append(still);
    if (window.jQuery) jQuery.fx.off = true;
  });
})();
