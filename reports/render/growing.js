"use strict";
let events;
const grow = event => {
  const at = [scrollX, scrollY], sideways = [...document.querySelectorAll(".scroll")].map(e => e.scrollLeft);
  document.body.innerHTML = event.data;
  document.title = document.querySelector("h1").textContent;
  document.querySelectorAll(".scroll").forEach((e, i) => e.scrollLeft = sideways[i] ?? 0);
  scrollTo(...at);
};
// Not before the page is whole: what of it came after an event would be added to that.
addEventListener("DOMContentLoaded", () => {
  events = new EventSource("events");
  events.addEventListener("growing", event => getSelection().isCollapsed && grow(event));
  events.addEventListener("final", event => { events.close(); grow(event); });
  events.onerror = () => { document.querySelector(".kind").textContent = "No connection: this is how far it had come."; };
});
