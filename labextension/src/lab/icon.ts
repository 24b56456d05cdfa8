import { LabIcon } from "@jupyterlab/ui-components";

/** Three actors, and the messages between them. */
export const actorsIcon = new LabIcon({
  name: "nbactors:actors",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">
  <g class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.3">
    <path d="M5.2 5.6 6.8 9M10.8 5.6 9.2 9M6.2 4h3.6"/>
  </g>
  <g class="jp-icon3" fill="#616161">
    <circle cx="4" cy="4" r="2.2"/><circle cx="12" cy="4" r="2.2"/><circle cx="8" cy="11.2" r="2.6"/>
  </g>
</svg>`,
});
