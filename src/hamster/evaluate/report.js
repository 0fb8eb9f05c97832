"use strict";
// Shows the scenes of one family, or those that one condition failed. Without scripts, all scenes are shown.
for (const button of document.querySelectorAll(".filters button")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll(".filters button")) other.setAttribute("aria-pressed", other === button);
    for (const scene of document.querySelectorAll(".scene")) {
      scene.hidden = !` ${scene.dataset.tags} `.includes(` ${button.dataset.tag} `);
    }
  });
}
// Videos play while they are in sight, and only for those who have not asked for less motion.
if (matchMedia("(prefers-reduced-motion: no-preference)").matches) {
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const show = (visible) => () => { target.controls = visible; };
      if (isIntersecting) target.play().then(show(false), show(true));
      else target.pause();
    }
  });
  for (const video of document.querySelectorAll("video")) {
    const show = (visible) => () => { video.controls = visible; };
    video.addEventListener("mouseenter", show(true));
    video.addEventListener("mouseleave", show(false));
    video.addEventListener("focus", show(true));
    video.tabIndex = 0;
    sight.observe(video);
  }
}
